"""How answers look: wide rows, long cells, and text that a terminal would obey."""

import json

import pytest

from infra.desk.display import complain, print_answer, print_csv, print_json, print_records, print_summary
from infra.desk.summary import NO_TABLES, summarise
from infra.warehouse import Answer

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil"
RAN = {"state": HOSTILE, "run_id": HOSTILE, "seconds": 1.0, "notes": [HOSTILE], "error": HOSTILE}


def test_a_wide_answer_is_shown_as_records_of_one_line_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(number, list(range(500)), *["some text"] * 20) for number in range(100)]
    print_answer(Answer(["id", "token_ids", *(f"column_{number}" for number in range(20))], rows))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 400
    assert sum("token_ids" in line for line in lines) == 10
    assert any("500 items]" in line for line in lines)
    assert "only the first 10 rows" in lines[-1]


def test_a_narrow_answer_is_a_table_of_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(Answer(["text", "n"], [("two\nlines", number) for number in range(3)]))
    lines = [line for line in capsys.readouterr().out.splitlines() if "two⏎lines" in line]
    assert len(lines) == 3


def test_a_long_cell_is_whole_where_the_page_has_room_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"s3://cpl/stages/step_apo/{'f2987f9ecc52f45f' * 2}/manifest.json"
    print_answer(Answer(["model", "uri"], [("step_apo", uri)]))
    assert uri in capsys.readouterr().out
    print_answer(Answer(["model", "uri", "other"], [("step_apo", uri, "x" * 100)]))
    assert "…" in capsys.readouterr().out


def test_text_of_models_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(Answer([HOSTILE], [(HOSTILE,)]))
    print_answer(Answer(["text"] * 30, [(HOSTILE,) * 30]))
    print_json([{"text": HOSTILE}])
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert "owned" in shown


def test_nor_can_what_a_store_says_of_a_round_or_an_error_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    summary = summarise(
        HOSTILE, 1, {**RAN, "stages": [{"stage": HOSTILE, "seconds": 1.0, "cached": True}]}, None, NO_TABLES
    )
    print_summary(summary)
    complain(HOSTILE)
    print_records([Answer(["text"], [(HOSTILE,)])])
    shown = "".join(capsys.readouterr())
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert shown.count("owned") == 7


def test_a_long_answer_is_one_json_list_and_one_csv_though_it_comes_in_parts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = [Answer(["n", "pair"], []), Answer(["n", "pair"], [(1, [1]), (2, None)]), Answer(["n", "pair"], [(3, [])])]
    print_records(parts)
    listed = capsys.readouterr().out
    print_json([{"n": 1, "pair": [1]}, {"n": 2, "pair": None}, {"n": 3, "pair": []}])
    assert listed == capsys.readouterr().out
    print_records(parts[:1])
    print_csv(parts)
    assert capsys.readouterr().out == "[]\nn,pair\n1,[1]\n2,\n3,[]\n"


def test_json_and_csv_keep_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([{"text": HOSTILE}])
    assert json.loads(capsys.readouterr().out) == [{"text": HOSTILE}]
    print_csv([Answer(["text"], [(HOSTILE,)])])
    assert HOSTILE in capsys.readouterr().out, "what goes to a file or a pipe is data"


def test_what_json_has_no_name_for_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    endless = [float("nan"), 1.5, float("inf"), [(float("nan"), -float("inf"))]]
    print_records([Answer(["x", "s"], [(endless[0], {"l": endless})])])
    print_csv([Answer(["s"], [({"l": endless},)])])
    out = capsys.readouterr().out
    assert "NaN" not in out
    assert "Infinity" not in out
    assert json.loads(out.partition("s\n")[0]) == [{"x": None, "s": {"l": [None, 1.5, None, [[None, None]]]}}]


def test_csv_that_goes_to_a_terminal_is_made_visible(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_csv([Answer(["text"], [(HOSTILE,)])])
    assert "\\x1b]0;owned" in capsys.readouterr().out
