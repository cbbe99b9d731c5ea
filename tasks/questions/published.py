"""The columns of published sets: they need no mapping, and nothing of a question is left out.

A set is known by its columns. Where several fit, the first counts. So a reading passage or options are read as part of
the question, although question and answer alone would fit, too.
"""

from collections.abc import Callable
from string import ascii_uppercase
from typing import NamedTuple


class Published(NamedTuple):
    """How a set's columns are mapped; whether its true and false mean yes and no; from where its indices count; whether
    any set may have such columns, so that its other ones are unknown."""

    name: str
    columns: dict[str, str]
    says_yes: bool = False
    first: int | None = None
    is_any: bool = False


def _questions(question: str, answer: str, choices: str = "", solution: str = "") -> dict[str, str]:
    given = {"question": question, "answer": answer, "choices": choices, "solution": solution}
    return {key: column for key, column in given.items() if column}


def _program(question: str, answer: str, tests: str, entry_point: str = "") -> dict[str, str]:
    return _questions(question, answer) | {"tests": tests} | ({"entry_point": entry_point} if entry_point else {})


SETS = (
    Published("DROP", _questions("passage + question", "answers_spans.spans")),
    Published("SQuAD", _questions("context + question", "answers.text")),
    *(
        Published("RACE", _questions(f"{passage} + question", "answer", "options"))
        for passage in ("article", "passage", "context", "text")
    ),
    *(
        Published("BoolQ", _questions(f"{passage} + question", "answer"), says_yes=True)
        for passage in ("passage", "meta.passage")
    ),
    *(
        Published("a passage", _questions(f"{passage} + question", "answer"), is_any=True)
        for passage in ("article", "context")
    ),
    Published("TabMWP", _questions("table_title + table + question", "answer", solution="solution")),
    Published("ScienceQA", _questions("hint + question", "answer", "choices", "solution"), first=0),
    Published("StrategyQA", _questions("question", "answer", solution="facts"), says_yes=True),
    Published("SocialIQA", _questions("context + question", "label", "answerA + answerB + answerC"), first=1),
    Published("WinoGrande", _questions("sentence", "answer", "option1 + option2"), first=1),
    Published("SVAMP", _questions("Body + Question", "Answer")),
    Published("ASDiv", _questions("body + question", "answer")),
    Published("MAWPS", _questions("sQuestion", "lSolutions")),
    Published("MetaMathQA", _questions("query", "response")),
    Published("OpenMathInstruct-1", _questions("question", "expected_answer", solution="generated_solution")),
    Published("OpenMathInstruct-2", _questions("problem", "expected_answer", solution="generated_solution")),
    Published("an expected answer", _questions("question", "expected_answer"), is_any=True),
    Published("an expected answer", _questions("problem", "expected_answer"), is_any=True),
    Published("MATH-500", _questions("problem", "answer")),
    Published("MATH", _questions("problem", "solution")),
    Published("AQuA-RAT", _questions("question", "correct", "options", "rationale")),
    Published("MathQA", _questions("Problem", "correct", "options", "Rationale")),
    Published("ARC in its first form", _questions("question.stem", "answerKey", "question.choices")),
    Published("ARC", _questions("question", "answerKey", "choices")),
    Published("OpenBookQA", _questions("question_stem", "answerKey", "choices")),
    Published("HellaSwag", _questions("ctx", "label", "endings")),
    Published("PIQA", _questions("goal", "label", "sol1 + sol2"), first=0),
    Published(
        "SciQ", _questions("question", "correct_answer", "correct_answer + distractor1 + distractor2 + distractor3")
    ),
    Published(
        "GPQA",
        _questions(
            "Question",
            "Correct Answer",
            "Correct Answer + Incorrect Answer 1 + Incorrect Answer 2 + Incorrect Answer 3",
        ),
    ),
    Published("MedMCQA", _questions("question", "cop", "opa + opb + opc + opd"), first=0),
    *(
        Published("MMLU in columns", _questions("question", "answer", " + ".join(ascii_uppercase[:last])))
        for last in range(10, 1, -1)
    ),
    Published("CMMLU", _questions("Question", "Answer", "A + B + C + D")),
    Published("MMLU-Pro", _questions("question", "answer", "options")),
    Published("MGSM", _questions("question", "answer_number")),
    Published("OlympiadBench", _questions("question", "final_answer")),
    Published("DAPO", _questions("prompt", "reward_model.ground_truth")),
    Published("Alpaca", _questions("instruction + input", "output")),
    Published("BBH", _questions("input", "target")),
    Published("AIME", _questions("Problem", "Answer")),
    Published("TheoremQA", _questions("Question", "Answer")),
    Published("HumanEval", _program("prompt", "canonical_solution", "test", "entry_point")),
    Published("HumanEval", _program("question", "answer", "meta.test", "meta.entry_point")),
    Published("MBPP", _program("text", "code", "test_setup_code + test_list")),
    Published("MBPP, sanitized", _program("prompt", "code", "test_imports + test_list")),
    Published("MBPP, question and answer", _program("question", "answer", "test_list")),
    Published("prompt and completion", _questions("prompt", "completion"), is_any=True),
    Published("a chat", _questions("messages", "messages"), is_any=True),
    Published("ShareGPT", _questions("conversations", "conversations")),
)


def recognised(has: Callable[[str], bool]) -> Published | None:
    """The first set all of whose columns are there (`has` says it of a mapping such as "Body + Question").

    Where columns are named question and answer, the question is that one: a chat or prompt beside them is a copy.
    """
    has_own = has("question") and has("answer")
    fitting = (one for one in SETS if all(map(has, one.columns.values())))
    return next((one for one in fitting if not has_own or "question" in one.columns["question"].split(" + ")), None)
