"""A config is read and checked before torch is imported; what is wrong is said in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.stages.model import MICRO
from tests.trainers.conftest import write_config
from trainers.config import ConfigError, main, read
from trainers.learn import Learn, train
from trainers.prepare import Prepare, prepare


@pytest.fixture
def fields(settings: dict[str, Any], imitations: Path) -> dict[str, Any]:
    return settings | {"lesson": imitations, "epochs": 2, "loss": {"nll": 1.0, "value": 0.1}}


def test_a_config_is_read_with_its_types(fields: dict[str, Any], tmp_path: Path) -> None:
    config = read(Learn, write_config(tmp_path / "config.json", {**fields, "learning_rate": 1}))
    assert config.learning_rate == 1.0
    assert isinstance(config.learning_rate, float)
    assert config.lesson == fields["lesson"]
    assert isinstance(config.epochs, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lerning_rate": 1e-5}, "lerning_rate: Extra inputs are not permitted"),
        ({"learning_rate": "1e-5"}, "learning_rate: Input should be a valid number"),
        ({"learning_rate": -1.0}, "learning_rate: Input should be greater than 0"),
        ({"learning_rate": float("inf")}, "learning_rate: Input should be a finite number"),
        ({"batch_size": 2.5}, "batch_size: Input should be a valid integer"),
        ({"batch_size": True}, "batch_size: Input should be a valid integer"),
        ({"micro_batch_size": 0}, "micro_batch_size: Input should be greater than or equal to 1"),
        ({"value_rate": 0.0}, "value_rate: Input should be greater than 0"),
        ({"warmup_ratio": 1.0}, "warmup_ratio: Input should be less than 1"),
        ({"epochs": None}, "epochs: Input should be a valid number"),
        ({"loss": {"nll": -1.0}}, r"loss\.nll: Input should be greater than or equal to 0"),
        ({"loss": {"nll": 1.0, "prefer": 1.0}}, "loss: prefer and rank learn from preferences, nll from imitations"),
        ({"loss": {"nll": 1.0}, "exact_kl": True}, "exact_kl: it does nothing, for the loss has no kl"),
        ({"loss": {"nll": 1.0, "kl": 1.0}, "squared": True}, "squared: it does nothing, for the loss has no prefer"),
        ({"loss": {"nll": 1.0}, "alpha": 0.3}, "alpha: it does nothing"),
        ({"loss": {"prefer": 1.0}, "gamma": 0.3}, "gamma: it does nothing"),
        ({"loss": {"prefer": 1.0}, "value_rate": 3.0}, "value_rate: it does nothing, .* no value and no rank"),
        ({"lesson": "nowhere.parquet"}, "lesson: there is no file nowhere.parquet"),
        ({"model": "nowhere"}, r"model: nowhere is no model folder of the factory: .*trainers\.prepare"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(Learn, write_config(tmp_path / "config.json", {**fields, **change}))


def test_a_missing_field_is_named(fields: dict[str, Any], tmp_path: Path) -> None:
    del fields["batch_size"], fields["loss"]
    with pytest.raises(ConfigError, match="loss: Field required; batch_size: Field required"):
        read(Learn, write_config(tmp_path / "config.json", fields))


def test_the_command_line_says_what_is_wrong_in_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "config.json"
    broken.write_text("{")
    assert main(Learn, train, "", [str(broken)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert "Invalid JSON" in message


def test_help_tells_of_every_field_its_type_bounds_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Learn, train, "What it does", ["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in ("model", "lesson", "output", "loss.prefer", "seed"))
    assert "  warmup_ratio      number >= 0 < 1, default 0.1. Share of the updates. CPL: 0.1.\n" in text
    assert main(Prepare, prepare, "", ["--help"]) == 0
    assert "  revision          string or null, default None. Commit of" in capsys.readouterr().out


def test_a_lesson_of_another_table_is_refused_with_the_table_that_the_loss_learns_from(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    config = read(Learn, write_config(tmp_path / "config.json", fields | {"loss": {"prefer": 1.0}}))
    with pytest.raises(ConfigError, match=r"lesson: .* has no column chosen_ids, .*learns from the table preferences"):
        train(config)


def test_the_micro_bases_config_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.pretrain import Pretrain

    whole = json.loads((MICRO.with_suffix(".json")).read_text())
    (tmp_path / "corpus.jsonl").touch()
    config = read(Pretrain, write_config(tmp_path / "config.json", whole | {"corpus": tmp_path / "corpus.jsonl"}))
    assert config.updates == whole["updates"]


def test_no_trainer_imports_torch_before_its_config_is_read() -> None:
    code = "import sys, json, trainers.learn, trainers.prepare\n"
    code += "print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "trl", "datasets"} & set(json.loads(done.stdout))
