"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): 7,473 questions to train on, 1,319 to test.

{"question": "Natalia sold clips to 48 of her friends in April, and then ...",
 "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\\n...\\n#### 72"}

Where it asks for a percentage its answers are bare numbers, and "60\\%" would be wrong, for a percent sign that is
given counts. They get the sign here, which an answer may leave out.
"""

import re

from tasks.questions.golds import NoFinalAnswer, final_answer
from tasks.questions.places import Read
from tasks.questions.rows import LeftOut, Mapped, Question
from tasks.questions.values import QuestionError, Row, listed, solution_of, text_of

_ASKS_PERCENT = re.compile(
    r"\bwhat(?:[’']s)?(?: (?:is|are|was|were|will|would|be|the))* (?:percent\b|%)|"
    r"\bwhat(?:[’']s)?(?: [a-z]+){0,4} percentage\b|"  # not "what must she score so that her percentage is 90?"
    r"\b(?:as|in) (?:a )?percent(?:age)?\b",
    re.IGNORECASE,
)
_KINDS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


def questions(read: Read) -> Mapped:
    """`level` is the number of calculations of the reference solution, `kinds` are the operations among them."""
    return Mapped([_question(where, row) for where, row in read.rows])


def _question(where: str, row: Row) -> Question | LeftOut:
    if not {"question", "answer"} <= row.keys():
        raise QuestionError(f"{where}: expected question and answer, found {listed(row)}")
    question = text_of(row["question"], where, "question")
    given = text_of(row["answer"], where, "answer")
    if not question or not given:
        return Question(where, question, given)
    try:
        gold = final_answer(given)
    except NoFinalAnswer as problem:
        return LeftOut(where, str(problem))
    # The hub's answer holds solution and final answer; files may hold them apart.
    solution = gold.solution or solution_of(row.get("solution"), where) or ""
    calculations = re.findall(r"<<([^=>]*)=", solution)
    used = {kind for calculation in calculations for sign, kind in _KINDS.items() if sign in calculation}
    return Question(
        where=where,
        question=question,
        answer=as_written(gold.answer, question),
        kinds=tuple(kind for kind in _KINDS.values() if kind in used),
        level=len(calculations),
        solution=solution or None,
    )


def as_written(answer: str, question: str) -> str:
    """A final answer of GSM8K without thousands commas, and with the percent sign that it lacks."""
    answer = re.sub(r"(?<=\d),(?=\d{3})", "", answer)
    return rf"{answer}\%" if answer[-1:].isdigit() and asks_percentage(question) else answer


def asks_percentage(question: str) -> bool:
    """Whether the last thing that is asked is a percentage: the rest may mention some, and ask for others."""
    return _ASKS_PERCENT.search(" ".join(question.rsplit("?", 2)[-2:])) is not None
