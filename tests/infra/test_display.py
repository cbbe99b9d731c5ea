"""How answers look: wide rows, long cells, and text that a terminal would obey."""

import json

import pytest

from infra.display import print_answer, print_csv, print_json
from infra.warehouse import Answer

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil"


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


def test_text_of_models_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(Answer([HOSTILE], [(HOSTILE,)]))
    print_answer(Answer(["text"] * 30, [(HOSTILE,) * 30]))
    print_json([{"text": HOSTILE}])
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert "owned" in shown


def test_json_and_csv_keep_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([{"text": HOSTILE}])
    assert json.loads(capsys.readouterr().out) == [{"text": HOSTILE}]
    print_csv(Answer(["text"], [(HOSTILE,)]))
    assert HOSTILE in capsys.readouterr().out, "what goes to a file or a pipe is data"


def test_csv_that_goes_to_a_terminal_is_made_visible(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_csv(Answer(["text"], [(HOSTILE,)]))
    assert "\\x1b]0;owned" in capsys.readouterr().out
