"""What the stage *learn* tells its trainer, and what it says of rows that no trainer sees whole."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import tasks.stages.learn
from infra.contract.training import Loss, Training
from infra.store import Ref
from tasks.language.format import PLANS
from tasks.running.prompts import Prompts
from tasks.stages.learn import learn, shortened
from tests.tasks.running.test_prompts import TURN, prompts

START, LESSON = (Ref(uri=f"s3://cpl/{name}/manifest.json", sha256=name * 64, rows=0) for name in "ab")


@pytest.mark.parametrize(
    ("loss", "table", "notes"),
    [(Loss(nll=1), "imitations", 1), (Loss(nll=1, value=0.1), "imitations", 2), (Loss(prefer=1), "preferences", 2)],
)
def test_a_loss_learns_from_its_table(
    loss: Loss, table: str, notes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of weight 0 are there for the value: imitation alone does not see them, and they are not told as cut."""
    launched: list[Any] = []

    def launch(workplace: Any, trainer: str, title: str, config: dict[str, Any]) -> None:
        launched.append((trainer, title, config))
        workplace.facts["examples"] = 7

    monkeypatch.setattr(tasks.stages.learn, "launch", launch)
    rows = tmp_path / f"{table}.parquet"
    monkeypatch.setattr(tasks.stages.learn, "in_words", lambda workplace, ref: {LESSON: rows}[ref])
    columns = {"imitations": ["completion_ids"], "preferences": ["chosen_ids", "rejected_ids"]}[table]
    ids = [[1] * 6, [1] * 6]
    lesson = pl.DataFrame({"prompt_ids": ids} | dict.fromkeys(columns, ids) | {"weight": [1.0, 0.0]})
    lesson.write_parquet(rows)
    store = SimpleNamespace(folder=lambda ref, name: ref.uri)
    workplace: Any = SimpleNamespace(store=store, facts={})
    training = Training(loss=loss, learning_rate=1e-4, batch_size=8, max_length=10)
    assert learn.body(workplace, START, LESSON, "mine", training) == 7
    assert workplace.facts["notes"][0].startswith(f"of {notes} rows, {notes} are cut")
    ((trainer, title, config),) = launched
    assert (trainer, title) == ("learn", "mine")
    assert config == {"model": START.uri, "lesson": str(rows), "in_chat": False} | training.model_dump()


def test_in_a_chat_models_learn_what_the_engine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its longer prompts count where rows are cut."""
    told: dict[str, Any] = {}

    def launch(workplace: Any, trainer: str, title: str, config: dict[str, Any]) -> None:
        told.update(config, rows=pl.read_parquet(config["lesson"]))
        workplace.facts["examples"] = 1

    own = prompts(turn=TURN)
    monkeypatch.setattr(tasks.stages.learn, "launch", launch)
    monkeypatch.setattr(Prompts, "read", lambda folder, format: {PLANS: own}[format])
    state, step = own.question("Q?"), own.encode("<step>\n")
    lesson = pl.DataFrame({"prompt_ids": [state, [*state, *step]], "completion_ids": [step, [9]], "weight": [1.0, 1.0]})
    lesson.write_parquet(tmp_path / "imitations.parquet")
    monkeypatch.setattr(tasks.stages.learn, "in_words", lambda workplace, ref: tmp_path / "imitations.parquet")
    store = SimpleNamespace(folder=lambda ref, name: tmp_path)
    (tmp_path / "work").mkdir()
    workplace: Any = SimpleNamespace(store=store, facts={}, folder=tmp_path / "work")
    length = len(own.asked(state)) + len(step)
    training = Training(loss=Loss(nll=1), learning_rate=1e-4, batch_size=8, max_length=length)
    learn.body(workplace, START, LESSON, "mine", training, "plan")
    assert told["in_chat"]
    assert told["rows"]["prompt_ids"].to_list() == [own.asked(state), own.asked([*state, *step])]
    assert told["rows"].drop("prompt_ids").equals(lesson.drop("prompt_ids"))
    (note,) = workplace.facts["notes"]
    assert note.startswith("of 2 rows, 0 are cut")
    assert "1 are left out" in note


def test_equal_arms_are_one_model_whatever_they_are_called() -> None:
    training = Training(loss=Loss(nll=1), learning_rate=1e-4, batch_size=8)
    keys = {learn.key(START, LESSON, name, training) for name in ("sft", "rft")}
    assert len(keys) == 1
    assert learn.key(START, LESSON, "sft", training.model_copy(update={"seed": 1})) not in keys
    assert learn.key(LESSON, LESSON, "sft", training) not in keys


def test_rows_that_do_not_fit_are_told() -> None:
    """Long plans are hard questions': what is cut or left out is no random part of a table."""

    def ids(*lengths: int) -> pl.Series:
        return pl.Series([[1] * length for length in lengths])

    examples = pl.LazyFrame({"prompt_ids": ids(4, 10, 9, 3), "completion_ids": ids(6, 1, 2, 3)})
    assert shortened(examples, 11) == []
    (note,) = shortened(examples, 10)
    assert note.startswith("of 4 rows, 1 are cut at max_length (10 tokens)")
    assert "1 are left out" in note
    pairs = pl.LazyFrame({"prompt_ids": ids(4), "chosen_ids": ids(2), "rejected_ids": ids(7)})
    assert "1 are cut" in shortened(pairs, 10)[0]
