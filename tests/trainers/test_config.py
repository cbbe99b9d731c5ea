"""A config is read and checked before torch is imported; what is wrong is said in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.conftest import write_config
from trainers import sft, step_apo
from trainers.config import ConfigError, main, read


@pytest.fixture
def fields(settings: dict[str, Any], examples: Path) -> dict[str, Any]:
    return {**settings, "examples": examples, "epochs": 2, "value_weight": 0.1, "value_rate": 10.0}


def test_a_config_is_read_with_its_types(fields: dict[str, Any], tmp_path: Path) -> None:
    config = read(sft.SFT, write_config(tmp_path / "config.json", {**fields, "learning_rate": 1}))
    assert config.learning_rate == 1.0
    assert isinstance(config.learning_rate, float)
    assert config.examples == fields["examples"]
    assert isinstance(config.epochs, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lerning_rate": 1e-5}, "unknown field lerning_rate"),
        ({"learning_rate": "1e-5"}, 'learning_rate must be a number, not "1e-5"'),
        ({"learning_rate": -1.0}, "learning_rate must be > 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"batch_size": True}, "batch_size must be an integer"),
        ({"micro_batch_size": 0}, "micro_batch_size must be >= 1"),
        ({"value_rate": 0.0}, "value_rate must be > 0"),
        ({"warmup_ratio": 1.0}, r"warmup_ratio must be in \[0, 1\)"),
        ({"epochs": None}, "epochs must be a number, not null"),
        ({"epochs": 0}, "epochs must be > 0"),
        ({"examples": "nowhere.parquet"}, "examples: there is no file nowhere.parquet"),
        ({"model": "nowhere"}, "nowhere is no model folder"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(sft.SFT, write_config(tmp_path / "config.json", {**fields, **change}))


def test_a_missing_field_is_named(fields: dict[str, Any], tmp_path: Path) -> None:
    del fields["seed"], fields["value_weight"]
    with pytest.raises(ConfigError, match="missing field seed, value_weight"):
        read(sft.SFT, write_config(tmp_path / "config.json", fields))


def test_the_command_line_says_what_is_wrong_in_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "config.json"
    broken.write_text("{")
    assert main(sft.SFT, sft.train, "", [str(broken)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert "is not JSON" in message


def test_help_lists_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(step_apo.StepAPO, step_apo.train, "Step-APO", ["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in ("model", "beta", "alpha", "max_length"))


def test_no_trainer_imports_torch_before_its_config_is_read() -> None:
    code = "import sys, json, trainers.prepare, trainers.sft, trainers.step_apo, trainers.value\n"
    code += "print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "trl", "datasets"} & set(json.loads(done.stdout))
