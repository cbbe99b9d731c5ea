"""Questions that ask for a program: HumanEval's and MBPP's rows, users' files, and those that nobody could judge."""

import ast
import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tasks.language.format import PROGRAM_ASKED
from tasks.questions import Loaded, QuestionError, draw, load_questions
from tasks.questions.programs import NotJudgeable, program_asked
from tasks.settings import Questions

BEGUN = 'def twice(n):\n    """Two times n."""'
MBPP = {
    "task_id": 601,
    "text": "Write a function to give a number twice.",
    "code": "import math\ndef helper(n: math.inf): return n\ndef twice(n: int, by=2) -> int:\n  return helper(by) * n",
    "test_setup_code": "from math import floor",
    "test_list": ["assert twice(4) == 8", "assert floor(twice(1)) == 2"],
    "challenge_test_list": [],
}
SANITIZED = {"source_file": "x", "task_id": 2, "prompt": "Double it.", "code": "def twice(n):\n    return 2 * n"}
SANITIZED |= {"test_imports": ["import math"], "test_list": ["assert twice(math.floor(4)) == 8"]}
OWN = {"asked": "Double it.", "solved": "def twice(n):\n    return 2 * n\n", "checks": "assert twice(4) == 8"}
OWN |= {"topic": "a"}
COLUMNS = {"question": "asked", "answer": "solved", "tests": "checks", "kind": "topic"}


OWN_MBPP = MBPP | {"text": "Again."}


def load(folder: Path, *rows: dict[str, Any], columns: dict[str, str] | None = None) -> Loaded:
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_questions(str(path), count=0, seed=1, columns=columns)


@pytest.mark.parametrize("row", [MBPP, SANITIZED])
def test_a_described_function_is_begun_with_its_name_and_parameters(tmp_path: Path, row: dict[str, Any]) -> None:
    """What types and defaults are made of may be imported in the reference program alone."""
    (one,) = load(tmp_path, row).frame.to_dicts()
    start = one["specification"]["prompt"]
    assert one["question"] == f"{PROGRAM_ASKED}\n```python\n{start}\n```"
    parameters = "n, by=2" if row is MBPP else "n"
    assert start == f'def twice({parameters}):\n    """{row.get("text", row.get("prompt"))}"""'
    assert one["specification"]["entry_point"] == "twice"
    assert (one["answer"], one["option"], one["is_exact"]) == (row["code"], None, False)


def test_statements_are_a_script(tmp_path: Path) -> None:
    (one,) = load(tmp_path, MBPP).frame["specification"]
    assert one["test"] == "from math import floor\nassert twice(4) == 8\nassert floor(twice(1)) == 2"


def test_tests_beside_those_that_judge_are_told(tmp_path: Path) -> None:
    more = load(tmp_path, SANITIZED, SANITIZED | {"prompt": "Again.", "test": "assert twice(100) == 200"})
    assert more.frame.height == 2
    assert any("tests that judge no program: 'test'; map tests to them" in note for note in more.notes), more.notes
    assert not any("judge no program" in note for note in load(tmp_path, MBPP, OWN_MBPP).notes)


def test_a_set_of_questions_and_answers_with_a_list_of_tests_asks_for_programs(tmp_path: Path) -> None:
    named = {"question": MBPP["text"], "answer": MBPP["code"], "test_list": ["assert twice(4) == 8"]}
    loaded = load(tmp_path, named)
    assert loaded.frame["specification"][0]["entry_point"] == "twice"
    assert "the columns are those of MBPP, question and answer" in loaded.notes[0]


@pytest.mark.parametrize("nothing", ["", None, math.nan, []])
def test_a_question_without_tests_beside_others_asks_for_no_program(tmp_path: Path, nothing: Any) -> None:
    row = {"question": "Double it.", "answer": OWN["solved"], "tests": OWN["checks"]}
    loaded = load(tmp_path, row, {"question": "What is 1 + 1?", "answer": "2", "tests": nothing})
    assert [one is not None for one in loaded.frame["specification"]] == [True, False]


def test_a_reference_program_may_stand_in_a_block_of_code_and_hold_one(tmp_path: Path) -> None:
    (one,) = load(tmp_path, OWN | {"solved": f"```python\n{OWN['solved']}```\n"}, columns=COLUMNS).frame.to_dicts()
    assert one["answer"] == OWN["solved"].rstrip()
    shown = 'def twice(n):\n    """\n```python\n1\n```\n    """\n    return 2 * n\n'
    (one,) = load(tmp_path, OWN | {"solved": shown}, columns=COLUMNS).frame.to_dicts()
    assert one["answer"] == shown.rstrip()


def test_a_list_that_a_csv_file_holds_as_text_is_one(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, [*OWN])
        rows.writeheader()
        rows.writerow(OWN | {"checks": str(["assert twice(4) == 8", "assert twice(0) == 0"])})
    (one,) = load_questions(str(path), count=0, seed=1, columns=COLUMNS).frame["specification"]
    assert one["test"] == "assert twice(4) == 8\nassert twice(0) == 0"


def test_a_missing_part_of_the_tests_is_empty(tmp_path: Path) -> None:
    row = MBPP | {"test_setup_code": math.nan, "test_list": ["assert twice(4) == 8"]}
    (one,) = load(tmp_path, row).frame["specification"]
    assert one["test"] == "assert twice(4) == 8"


def test_lines_that_end_as_on_windows_are_shown_as_lines(tmp_path: Path) -> None:
    row = OWN | {"asked": "Double it.\r\nThat is all.\rIndeed."}
    (one,) = load(tmp_path, row, columns=COLUMNS).frame["question"]
    assert "Double it.\n" in one
    assert "\\r" not in one


def test_tests_are_in_no_question(tmp_path: Path) -> None:
    for row in (MBPP, SANITIZED):
        (one,) = load(tmp_path, row).frame.to_dicts()
        assert "assert" not in one["question"]
        assert "== 8" in one["specification"]["test"]


def test_columns_of_a_users_file_are_mapped_and_a_mixture_knows_its_programs(tmp_path: Path) -> None:
    (one,) = load(tmp_path, OWN, columns=COLUMNS).frame.to_dicts()
    assert (one["kinds"], one["specification"]["entry_point"]) == (["a"], "twice")
    parts = [{"source": str(tmp_path / "set.jsonl"), "columns": COLUMNS}, {"source": "micro"}]
    drawn = draw(Questions.model_validate({"source": parts, "count": 2, "held_out": 0}), seed=1).frame
    assert {row["source"]: row["specification"] is None for row in drawn.to_dicts()} == {"set": False, "micro": True}


def test_columns_named_tests_and_entry_point_need_no_mapping(tmp_path: Path) -> None:
    named = {"question": BEGUN, "answer": "    return 2 * n\n", "tests": ["x = 4", "assert double(x) == 8"]}
    (one,) = load(tmp_path, named | {"entry_point": "twice"}).frame.to_dicts()
    assert one["answer"] == f"{BEGUN}\n    return 2 * n"
    assert one["specification"]["test"].endswith("x = 4\nassert double(x) == 8")


def test_two_programs_for_one_question_are_no_contradiction_and_other_tests_are(tmp_path: Path) -> None:
    other = OWN | {"solved": "def twice(n):\n    return n + n\n"}
    loaded = load(tmp_path, OWN, other, columns=COLUMNS)
    assert loaded.frame.height == 1
    assert "duplicates" in loaded.notes[0]
    with pytest.raises(QuestionError, match="several answers"):
        load(tmp_path, OWN, OWN | {"checks": "assert twice(4) == 9"}, columns=COLUMNS)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"checks": "twice(4)"}, "its tests assert nothing"),
        ({"checks": ""}, "its tests assert nothing"),
        ({"checks": "assert twice(4"}, "its tests cannot be read as Python"),
        ({"solved": "return 2 * n"}, r"which function is tested is not to be seen \(none\)"),
        ({"solved": "def one(): 1\ndef two(): 2", "checks": "assert one() < two()"}, r"\(one, two\): map entry_point"),
        ({"solved": "def twice(n) return 2"}, "its reference program cannot be read as Python"),
        (
            {"checks": "class TestIt(unittest.TestCase):\n  def test_it(self): self.assertEqual(twice(4), 8)"},
            "of a unittest",
        ),
        ({"solved": "INF = 9\ndef twice(n, most=INF): return 2 * n"}, "twice has the default INF, which is no plain"),
        ({"solved": "def twice(n, *, m=[].copy()): return 2 * n"}, r"twice has the default \[\].copy\(\), which"),
        ({"checks": "async def test_it(): assert twice(4) == 8\nassert twice(1) == 2"}, "its tests are asynchronous"),
        ({"checks": "def test_it(made): assert twice(made) == 8"}, "test test_it is to be given made"),
        ({"checks": "def check(f): assert f(1) == 2\ndef testLarge(made): assert twice(made) == 8"}, "given made"),
        (
            {"checks": "class TwiceTest(TestCase):\n  def testIt(self): assert twice(4) == 8"},
            "are methods of TwiceTest",
        ),
        (
            {"checks": "class TestIt:\n  class TestIn:\n    def test_it(self): assert twice(4) == 8"},
            "methods of TestIt",
        ),
        (
            {"checks": "class Base:\n  def test_it(self): assert twice(4) == 8\nclass TestIt(Base): pass"},
            "are methods of a Base",
        ),
        (
            {"checks": "class TestIt:\n def setup_method(self): self.n = 4\n def test_it(self): assert twice(4) == 8"},
            "methods of TestIt, which more than a call",
        ),
        (
            {"checks": "def setup_module(): global n; n = 4\ndef test_it(): assert twice(n) == 8"},
            "tests need setup_module",
        ),
        ({"checks": f"assert twice(0x1{'0' * 5000}) > 0"}, "a number too long to be written"),
        ({"checks": "def test_it(*, made): assert twice(made) == 8"}, "test test_it is to be given made"),
        ({"checks": "assert twice(4) == " + " + ".join(["1"] * 900)}, "its tests are nested too deep"),
    ],
)
def test_what_nobody_could_judge_is_left_out_with_the_reason(tmp_path: Path, changed: dict[str, str], why: str) -> None:
    loaded = load(tmp_path, OWN, OWN | {"asked": "Again."} | changed, columns=COLUMNS)
    assert loaded.frame.height == 1
    with pytest.raises(QuestionError, match=why):
        load(tmp_path, OWN | changed, columns=COLUMNS)


def test_all_that_pytest_would_call_is_called_and_the_function_need_not_be_imported() -> None:
    tests = (
        "from solution import twice\nimport math\n"
        "def test_one(n=4): assert twice(n) == 8\n"
        "class TestMore:\n    def test_two(self): assert twice(1) == 2\n    def helper(self): pass"
    )
    one = program_asked("here", "Double it.", OWN["solved"], tests)
    assert one.specification is not None
    assert one.specification.test.startswith("pass\nimport math\n\ndef test_one(n=4):")
    assert one.specification.test.endswith("\ntest_one()\nTestMore().test_two()")


@pytest.mark.parametrize(
    ("tests", "is_entry"),
    [
        ("def check(f):\n    assert f(4) == 8", True),
        ("def check(f):\n    assert f(4) == 8\ncheck(twice)", True),
        ("def check(n):\n    assert twice(n) == 2 * n\ncheck(4)", False),
        ("def check(x, y):\n    assert twice(x) == y\ncheck(1, 2)", False),
    ],
)
def test_a_helper_that_is_called_check_is_no_entry(tests: str, is_entry: bool) -> None:
    one = program_asked("here", "Double it.", OWN["solved"], tests)
    assert one.specification is not None
    assert one.specification.test.endswith("\ncheck(twice)") is is_entry
    assert one.specification.test.count("check(") == 2


def test_a_program_that_has_no_tests_beside_such_that_do_is_left_out(tmp_path: Path) -> None:
    row = {"question": "Double it.", "answer": OWN["solved"], "tests": OWN["checks"]}
    loaded = load(tmp_path, row, {"question": "One more?", "answer": "def inc(a): return a + 1", "tests": []})
    assert loaded.frame["question"].str.contains("Double").to_list() == [True]
    assert any("its tests assert nothing" in note for note in loaded.notes)


def test_a_program_with_a_broken_character_is_refused_by_its_place(tmp_path: Path) -> None:
    for key in ("asked", "solved", "checks"):
        with pytest.raises(QuestionError, match=r"line 1: the \w+ holds a broken character"):
            load(tmp_path, OWN | {key: f"{OWN[key]}\ud800"}, columns=COLUMNS)


@pytest.mark.parametrize(("key", "value"), [("checks", 5), ("solved", {"a": 1}), ("asked", [5])])
def test_what_is_no_text_is_refused_by_its_place(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(QuestionError, match=r"line 1: the \w+ is a (int|dict), expected Python"):
        load(tmp_path, OWN | {key: value}, columns=COLUMNS)


def test_a_start_without_a_docstring_gets_a_body_below_which_programs_stand() -> None:
    one = program_asked("here", "def twice(n):\n", "    return 2 * n\n", "assert twice(4) == 8", "twice")
    assert one.question.endswith("```python\ndef twice(n):\n```")
    assert one.answer == "def twice(n):\n    return 2 * n\n"
    assert one.specification is not None
    assert ast.parse(f"{one.specification.prompt}{one.answer}"), "the whole of it anew"
    assert ast.parse(f"{one.specification.prompt}    return 2 * n\n"), "or its body"
    with pytest.raises(NotJudgeable, match="its start cannot be read"):
        program_asked("here", "x = (\ndef twice(n):", "    return 2 * n\n", "assert twice(4) == 8", "twice")


def test_a_description_may_hold_quotes() -> None:
    described = 'Say """twice\\n""" of it.'
    one = program_asked("here", described, "def twice(n):\n    return 2 * n\n", "assert twice(4) == 8")
    assert one.specification is not None
    (function,) = ast.parse(one.specification.prompt).body
    assert isinstance(function, ast.FunctionDef)
    assert ast.get_docstring(function) == described


@pytest.mark.parametrize("body", ['    """Two times n."""\n', ""])
def test_below_a_start_that_raises_what_is_not_there_yet_a_body_runs(body: str) -> None:
    start = f"def twice(n):\n{body}    raise NotImplementedError('yours')\n"
    one = program_asked("here", start, "def twice(n):\n    return 2 * n\n", "assert twice(4) == 8", "twice")
    assert one.specification is not None
    assert one.specification.prompt == f"def twice(n):\n{body}    pass\n"
    assert "NotImplementedError" in one.question
    below = program_asked("here", start, "    return 2 * n\n", "assert twice(4) == 8", "twice")
    assert below.answer == f"{one.specification.prompt}    return 2 * n\n"


@pytest.mark.parametrize("stub", ["...", "pass", "raise NotImplementedError", "return None"])
def test_below_a_start_on_one_line_a_body_runs(stub: str) -> None:
    one = program_asked("here", f"def twice(é) -> int: {stub}\n", "    return 2 * é\n", "assert twice(4) == 8", "twice")
    assert one.specification is not None
    assert one.specification.prompt == "def twice(é) -> int:\n    pass\n"
    assert one.answer == "def twice(é) -> int:\n    pass\n    return 2 * é\n"


def test_what_a_start_does_before_its_body_stays() -> None:
    start = "def twice(n):\n    one = n; other = n\n"
    one = program_asked("here", start, "    return one + other\n", "assert twice(4) == 8", "twice")
    assert one.answer == f"{start}    return one + other\n"


def test_a_set_with_a_function_that_is_called_check_is_judged_by_its_asserts() -> None:
    one = program_asked("here", "Any.", "def check(n):\n    return 2 * n\n", "assert check(4) == 8")
    assert one.specification is not None
    assert (one.specification.entry_point, one.specification.test) == ("check", "assert check(4) == 8")
