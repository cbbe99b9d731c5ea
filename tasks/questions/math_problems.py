r"""MATH (Hendrycks et al. 2021, arXiv 2103.03874), supplied by the user: 7,500 problems to train on, 5,000 to
test.

    {"problem": "What is $2+2$?", "level": "Level 1", "type": "Prealgebra", "solution": "... $\boxed{4}$."}

No copy of it comes with this project (its licence is contested).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tasks.questions.golds import NoFinalAnswer, final_answer
from tasks.questions.places import BESIDE, File, HubSet, Place, Read, data_folder
from tasks.questions.rows import LeftOut, Mapped, Question
from tasks.questions.tables import FORMATS, json_row, read_file
from tasks.questions.values import QuestionError, Row, kinds_of, level_of, listed, text_of

_FIELDS = ("problem", "level", "type", "solution")


@dataclass(frozen=True)
class Problems:
    """A folder with a file for every problem: SUBJECT/N.json."""

    folder: Path
    split: str

    def content(self) -> str:
        try:
            data = {path: path.read_bytes() for path in _problems(self.folder)}
        except OSError:  # which `read` names
            return ""
        return _digest(data) if data else ""

    def read(self) -> Read:
        data = {path: read_file(path) for path in _problems(self.folder)}
        if not data:
            raise QuestionError(
                f"MATH, split {self.split!r}, was not found in {self.folder}. It is yours to supply: a folder with "
                f"SUBJECT/N.json, or a file ({', '.join('*' + one for one in FORMATS)}) with {', '.join(_FIELDS)}. "
                "Name it as math:PATH or math:hub:OWNER/NAME"
            )
        return Read(((str(path), json_row(one, str(path))) for path, one in data.items()), _digest(data))


def find(place: str, split: str) -> Place:
    """A folder of SUBJECT/N.json files, a file, or a set of the hub ("hub:OWNER/NAME").

    With an empty `place` it is looked for as CPL_DATA/math. A folder with a sub-folder or file of the split's
    name is entered.
    """
    _, hub, name = place.rpartition("hub:")
    if hub:
        return HubSet(name, None, split)
    folder = Path(place).expanduser() if place else (data_folder() or BESIDE) / "math"
    for path in (folder / split, *(folder / f"{split}{ending}" for ending in FORMATS), folder):
        if path.is_file():
            return File(path)
        if _problems(path):
            return Problems(path, split)
    return Problems(folder, split)


def questions(read: Read) -> Mapped:
    r"""Problems with the content of the solution's last \boxed as their answer.

    Those whose boxes are missing, empty or differ are left out, because their reward would be wrong.

    Raises:
        QuestionError: a row or file that is no MATH problem.
    """
    return Mapped([_question(where, row) for where, row in read.rows])


def _problems(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.json"))


def _digest(data: dict[Path, bytes]) -> str:
    whole = hashlib.sha256()
    for path, one in data.items():
        whole.update(f"{path.parent.name}/{path.name}\0{hashlib.sha256(one).hexdigest()}\0".encode())
    return whole.hexdigest()


def _question(where: str, row: Row) -> Question | LeftOut:
    row = {"type": row["subject"], **row} if "subject" in row else row  # MATH-500
    if missing := [name for name in _FIELDS if name not in row]:
        raise QuestionError(f"{where}: there is no {', '.join(missing)}; the fields are {listed(row)}")
    solution = text_of(row["solution"], where, "solution")
    if "boxed" not in solution:
        return LeftOut(where, r"no \boxed answer")
    try:
        answer = final_answer(solution).answer
    except NoFinalAnswer as problem:
        return LeftOut(where, str(problem))
    return Question(
        where=where,
        question=text_of(row["problem"], where, "problem"),
        answer=answer,
        kinds=kinds_of(row["type"], where),
        level=level_of(row["level"], where),
        solution=solution,
    )
