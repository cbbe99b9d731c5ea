"""Another model learns the micro world's format from written plans."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from flows.warm_up import main, written
from infra.contract.model_folder import ValueWords
from tasks.language.format import PLANS, Kind
from tasks.micro import world
from tasks.stages.model import MICRO


def test_what_is_written_is_right_and_on_questions_that_nobody_is_asked() -> None:
    golds = {PLANS.prompt(problem.question): problem.answer for problem in world.generate("pretrain", 60, 3)}
    for prompt, attempt in written(60, 3):
        ending = PLANS.parse_ending(attempt, 0, 10)
        assert (ending.kind, ending.answer) == (Kind.SOLUTION, golds[prompt])
    assert len(golds) == 60


def warm_up(monkeypatch: pytest.MonkeyPatch, *given: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["warm_up", *map(str, given)])
    main()


@pytest.mark.integration
def test_a_model_is_taught_and_is_one_that_rounds_start_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given: list[str | Path] = [MICRO, tmp_path, "--epochs", "1", "--learning-rate", "1e-3"]
    warm_up(monkeypatch, *given, "--count", "20")
    [before], after = tmp_path.glob("base-*/model"), tmp_path / "model"
    assert ValueWords.read(after).knows_format
    [lesson] = tmp_path.glob("written-*.parquet")
    rows, tokenizer = pl.read_parquet(lesson), Tokenizer.from_file(str(after / "tokenizer.json"))
    for row, (prompt, attempt) in zip(rows.iter_rows(named=True), written(20, 0), strict=True):
        *said, end = row["completion_ids"]
        assert tokenizer.decode(row["prompt_ids"] + said, skip_special_tokens=False) == prompt + attempt
        assert end == ValueWords.read(after).eos
    weights = [load_file(folder / "model.safetensors")["lm_head.weight"] for folder in (before, after)]
    assert (weights[0] != weights[1]).any()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]

    with pytest.raises(SystemExit) as refused:
        warm_up(monkeypatch, *given, "--count", "30")
    assert refused.value.code == 2
    assert "holds a run of another config" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"), [((), "is no model"), (("--learning-rate", "0"), "learning_rate")], ids=["model", "rate"]
)
def test_what_cannot_be_taught_is_refused_before_anything_is_written(
    options: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as refused:
        warm_up(monkeypatch, tmp_path, tmp_path / "taught", *options)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "taught").exists()
