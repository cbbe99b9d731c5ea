"""Questions and benchmarks: loaded, validated, sampled, and kept apart."""

from tasks.questions.benchmarks import domain_of, load_all, load_benchmark, source_of
from tasks.questions.mixture import draw
from tasks.questions.overlap import ContaminatedQuestions, refuse_contamination, refuse_overlap
from tasks.questions.rows import Loaded
from tasks.questions.sampling import hold_out, sample
from tasks.questions.sources import content_of, load_questions
from tasks.questions.values import QuestionError

__all__ = [
    "ContaminatedQuestions",
    "Loaded",
    "QuestionError",
    "content_of",
    "domain_of",
    "draw",
    "hold_out",
    "load_all",
    "load_benchmark",
    "load_questions",
    "refuse_contamination",
    "refuse_overlap",
    "sample",
    "source_of",
]
