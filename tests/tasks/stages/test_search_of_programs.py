"""A round's questions may ask for programs: their own programs are proven, and the search is judged by their tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

from infra.engine.usage import Usage
from infra.sandbox import Limits, NoSandbox, Sandbox
from infra.sandbox import run as sandbox_module
from infra.store import Ref
from tasks.check import Checker
from tasks.language.format import PLAN_OPEN, in_block, verdict
from tasks.questions import Loaded, QuestionError
from tasks.questions.programs import program_asked
from tasks.questions.rows import as_rows
from tasks.records import frame
from tasks.running import parts
from tasks.running.parts import Part
from tasks.running.served import judge
from tasks.search.method import Draw
from tasks.search.policy import Expansion, Sample, Undecided
from tasks.settings import Questions, Search
from tasks.stages import questions as questions_stage
from tasks.stages import search as search_stage
from tasks.stages.questions import proven, sample_questions
from tasks.stages.search import search
from tests.infra.sandboxed import Unconfined, sandbox
from tests.sql.handmade import question as plain
from tests.tasks.running.local_stage import LocalStage, Silent
from tests.tasks.search.scripted import step_text

RIGHT = "def twice(n):\n    return n + n\n"
REF = Ref(uri="s3://cpl/x/manifest.json", sha256="0" * 64, rows=2)
TESTS = "assert twice(4) == 8\nassert twice(-1) == -2"


def asked(name: str = "twice", reference: str = RIGHT, tests: str = TESTS) -> dict[str, Any]:
    """A row of `questions` with its tests, as the stage *questions* writes it."""
    loaded = as_rows([program_asked("here", f"Two times n, for {name}.", reference, tests)], name, "train")
    rows = loaded.frame.drop("cluster").unnest("specification")
    return rows.to_dicts()[0]


def drawn(*rows: dict[str, Any]) -> Loaded:
    """The same before its programs are proven."""
    of_programs = ("prompt", "test", "entry_point")
    whole = pl.DataFrame(rows, schema=frame("questions", []).schema)
    packed = pl.when(pl.col("test").is_not_null()).then(pl.struct(of_programs)).alias("specification")
    return Loaded(whole.select(pl.exclude(of_programs), packed), ("a note",))


class Coder:
    """Plans one step and writes one program after the other, each with a last block of code before it."""

    has_room = False

    def __init__(self, *programs: str) -> None:
        self.programs = programs
        self.written = 0

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        texts = [self.solution() if 1 in state_ids else step_text(1, "add it up") for _ in range(draw.n)]
        samples = [
            Sample(text, (2 if 1 in state_ids else 1, 3 + place), -1.0, 0.0, 2) for place, text in enumerate(texts)
        ]
        return Expansion(samples, Usage(requests=1))

    def solution(self) -> str:
        program = self.programs[self.written % len(self.programs)]
        self.written += 1
        return f"</plan>\n<solution>\nFirst\n```\nreturn 1\n```\nthen\n```python\n{program}```\n</solution>"


def searched(folder: Path, monkeypatch: pytest.MonkeyPatch, coder: Coder, where: Any, **settings: Any) -> LocalStage:
    """The stage *search* over a program and a plain question, with a scripted policy in the engine's place."""
    rows = [asked(), plain("q1", []) | {"prompt": None, "test": None, "entry_point": None}]

    class Workplace(LocalStage):
        def read(self, ref: Ref, table: str) -> pl.DataFrame:
            return frame("questions", rows)

    async def version() -> str:
        return "none"

    prompts = SimpleNamespace(question=lambda text: [7] * 3, encode=lambda text: [8] * len(text))
    served = SimpleNamespace(
        prompts=prompts,
        account=lambda: "",
        use=lambda stage, questions: frame("engine_use", []),
        engine=SimpleNamespace(version=version),
    )

    @asynccontextmanager
    async def serve_both(*_: Any) -> AsyncIterator[tuple[Any, None]]:
        yield served, None

    monkeypatch.setattr(parts, "Progress", Silent)
    monkeypatch.setattr(parts, "KEEP_SECONDS", 0.01)
    monkeypatch.setattr(search_stage, "serve_both", serve_both)
    monkeypatch.setattr(search_stage, "SearchPolicy", lambda *_: coder)
    monkeypatch.setattr(search_stage, "sandbox_for", lambda tests: where if any(tests) else None)
    workplace = Workplace(folder)
    search.body(workplace, REF, REF, "trees", Search(simulations=2, root_children=1, children=4, **settings))
    return workplace


MANY = (RIGHT, "    return 2 * n\n", "def twice(n):\n    return n\n", "def twice(n:\n", "open('/etc/passwd')\n" + RIGHT)


def told(workplace: LocalStage) -> dict[str, tuple[str, float | None]]:
    nodes = pl.read_parquet(workplace.folder / "nodes.parquet").filter(pl.col("answer").is_not_null())
    return {row["answer"]: (row["kind"], row["reward"]) for row in nodes.to_dicts()}


def test_a_searched_program_is_rewarded_by_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the plain question beside it nothing is an answer that has no box."""
    workplace = searched(tmp_path, monkeypatch, Coder(*MANY[:4]), Unconfined())
    assert told(workplace) == {
        MANY[0]: ("solution", 1.0),
        MANY[1]: ("solution", 1.0),
        MANY[2]: ("solution", -1.0),
        MANY[3]: ("solution", -1.0),
    }
    trees = pl.read_parquet(tmp_path / "trees.parquet")
    assert dict(trees.select("question_id", "is_solved").iter_rows()) == {asked()["question_id"]: True, "q1": False}


@pytest.mark.integration
def test_programs_are_searched_in_the_real_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sandbox does not give is nobody's reward; what never ends is wrong."""
    programs = (*MANY[2:], "def twice(n):\n    while True: pass\n")
    where = sandbox(Limits(work=1, clock=10))
    workplace = searched(tmp_path, monkeypatch, Coder(*programs), where)
    assert told(workplace) == {
        programs[0]: ("solution", -1.0),
        programs[1]: ("solution", -1.0),
        programs[2]: ("undecided", None),
        programs[3]: ("solution", -1.0),
    }
    assert workplace.facts["undecided"] == 1


def test_a_hint_shows_the_reference_program_and_never_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def trees_of(task: Any, *_: Any) -> Any:
        seen.append(task)
        return Part({"trees": [], "nodes": []})

    monkeypatch.setattr(search_stage, "trees_of", trees_of)
    searched(tmp_path, monkeypatch, Coder(""), Unconfined(), method="reflect")
    task = next(one for one in seen if one.entry_point == "twice")
    assert task.gold == in_block(RIGHT)
    assert "```python\ndef twice(n):\n    return n + n\n```\n" in verdict(task.gold)
    assert len(task.told_ids) == len(verdict(task.gold, then=PLAN_OPEN))
    assert "assert" not in verdict(task.gold)
    assert "assert" not in task.question
    assert asyncio.run(task.leaks("Plan 1: return n + n at once"))
    assert not asyncio.run(task.leaks("Plan 1: def twice(n): adds up"))
    other = next(one for one in seen if not one.entry_point)
    assert other.gold == "5"


def judged(program: str, tests: str = TESTS) -> bool:
    async def run() -> bool:
        is_right = judge(cast(Checker, None), asked(tests=tests), cast(Sandbox, Unconfined()))
        return await is_right(program)

    return asyncio.run(run())


def test_who_refuses_or_breaks_the_tests_is_undecided() -> None:
    assert judged(RIGHT)
    assert not judged("def twice(n):\n    return n\n")
    with pytest.raises(Undecided, match="refused"):
        judged("def twice(n):\n    raise MemoryError\n")
    with pytest.raises(Undecided, match="tests are broken"):
        judged(RIGHT, "import nowhere\nassert twice(1) == 2")


def test_what_does_not_pass_its_own_tests_is_left_out_and_told() -> None:
    broken = asked("broken", tests="import nowhere\nassert twice(1) == 2")
    wrong = asked("wrong", tests="assert twice(1) == 3")
    good = [asked(), asked("again"), asked("more")]
    rows = [plain("q1", []), broken, *good, wrong]
    found = proven(drawn(*rows), cast(Sandbox, Unconfined()))
    assert found.frame["question_id"].to_list() == ["q1", *(one["question_id"] for one in good)]
    assert found.frame["test"].null_count() == 1
    assert found.frame.schema == frame("questions", []).schema
    note, told = found.notes
    assert note == "a note"
    assert told.startswith("2 of 5 reference programs are not proven by their own tests: ")
    assert f"{wrong['question_id']} (wrong: AssertionError: )" in told
    assert "the tests are broken: ModuleNotFoundError" in told
    with pytest.raises(QuestionError, match="1 of 1 reference programs"):
        proven(drawn(plain("q1", []), wrong), cast(Sandbox, Unconfined()))


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (
            "try:\n    assert twice(2) == 4\nexcept Exception:\n    pass",
            "a function that does nothing passes them, too",
        ),
        ("assert True", "refused: the tests are broken: they never call twice"),
        ("def check(candidate):\n    assert max(1, 2) == 2", "refused: the tests are broken: they never call twice"),
        ("def helper(given):\n    assert twice(given) == 4", "refused: the tests are broken: they never call twice"),
        ("def check():\n    assert twice(2) == 4", "refused: the tests are broken: they never call twice"),
        ("def check(candidate, by):\n    assert candidate(2) == 4", "refused: the tests are broken: they never call"),
    ],
)
def test_tests_that_judge_nothing_are_left_out_and_told(tests: str, why: str) -> None:
    nothing = asked("nothing", tests=tests)
    found = proven(drawn(asked(), nothing), cast(Sandbox, Unconfined()))
    assert found.frame["question_id"].to_list() == [asked()["question_id"]]
    assert f"{nothing['question_id']} ({why}" in found.notes[1]


@pytest.mark.parametrize(
    "tests",
    [
        "def given(): return 2\ndef test_it():\n    assert twice(given()) == 4",
        "def test_one(): assert twice(0) == 0\ndef testLarge(): assert twice(100) == 200",
        "def test(): assert twice(2) == 4",
        "try:\n    import none\nexcept ImportError:\n    def test_it(): assert twice(2) == 4",
        "if __name__ == '__main__':\n    assert twice(2) == 4",
        "assert twice(0) == 0\ndef check(candidate, by=0):\n    assert candidate(2) == 4",
        "def check(candidate): assert candidate(0) == 0\ndef test_large(): assert twice(100) == 200",
        "class TestIt:\n    def test_it(self): assert twice(2) == 4",
        "def test_case(given, due): assert twice(given) == due\ntest_case(2, 4)",
        "from solution import twice as f\nassert f(2) == 4",
        "try:\n    from solution import twice\nexcept ImportError:\n    pass\nassert twice(2) == 4",
        "count = 0\ndef test_it():\n    global count\n    count += 2\n    assert twice(count) == 4",
    ],
)
def test_what_pytest_would_call_is_called(tests: str) -> None:
    assert judged(RIGHT, tests)
    assert not judged("    return n\n", tests)


def test_without_programs_the_table_is_what_it_was_and_no_sandbox_is_needed() -> None:
    found = proven(drawn(plain("q1", [])))
    assert found.notes == ("a note",)
    assert "test" not in found.frame.columns
    assert found.frame.columns == frame("questions", []).columns[:-3]


def test_a_round_that_asks_for_programs_is_refused_where_no_sandbox_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing() -> None:
        raise NoSandbox("Programs that a model wrote run in a sandbox only: install bubblewrap")

    monkeypatch.setattr(sandbox_module, "machine", nothing)
    monkeypatch.setattr(questions_stage, "draw", lambda *_, **__: drawn(asked()))
    with pytest.raises(NoSandbox, match="install bubblewrap"):
        sample_questions.body(LocalStage(tmp_path), 1, {}, Questions(count=1))
    assert not (tmp_path / "questions.parquet").exists()
    monkeypatch.setattr(questions_stage, "draw", lambda *_, **__: drawn(plain("q1", [])))
    assert sample_questions.body(LocalStage(tmp_path), 1, {}, Questions(count=1)) == 1
