"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 Python functions to complete, judged by running tests.

{"prompt": "def ...", "canonical_solution": "...", "test": "def check(candidate): ...", "entry_point": "..."}

In the plan format the solution ends with the program in a block of code, where others have a box. The words that ask
for it are ours.
"""

from tasks.questions.places import Read
from tasks.questions.rows import Mapped, Question, Specification
from tasks.questions.values import QuestionError, Row, listed

ASKED = "Complete this Python function. The solution ends with the whole function in one ```python block."


def questions(read: Read) -> Mapped:
    return Mapped([_question(where, row) for where, row in read.rows])


def _question(where: str, row: Row) -> Question:
    own = {**row, **row.get("meta", {})}
    prompt, solution = row.get("prompt", row.get("question")), row.get("canonical_solution", row.get("answer"))
    if not (isinstance(prompt, str) and isinstance(solution, str) and {"test", "entry_point"} <= own.keys()):
        raise QuestionError(f"{where}: expected prompt, canonical_solution, test, entry_point; found {listed(row)}")
    return Question(
        where=where,
        question=f"{ASKED}\n```python\n{prompt.strip()}\n```",
        answer=solution,
        specification=Specification(prompt, str(own["test"]), str(own["entry_point"])),
    )
