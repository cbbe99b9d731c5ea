"""What has no room is told by its place, and a round of which nothing has room is refused by the field."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from infra.contract.model_folder import Probe, ProbeSequence, ValueWords
from infra.engine import ModelFolder
from infra.store import Ref
from tasks.language.format import PLANS
from tasks.running.prompts import Prompts
from tasks.stages.lengths import NoRoom, compare_lengths
from tests.tasks.running.local_stage import LocalStage

BASE = Path("tasks/micro/base")
SHORT, LONG = "What is 2 + 3?", "What is 2 + 3? " + "Ann has 4 coins. " * 40
NOTHING = Ref(uri="s3://cpl/any/manifest.json", sha256="0" * 64, rows=1)


class Stage(LocalStage):
    """A round's questions, and a model with such a context that knows the format."""

    def __init__(self, folder: Path, texts: list[str], **config: Any) -> None:
        super().__init__(folder)
        self.texts = texts
        shutil.copy(BASE / "tokenizer.json", folder)
        (folder / "config.json").write_text(json.dumps({"vocab_size": 768} | config))
        ValueWords(good=1, bad=2, eos=0, knows_format=True).write(folder)
        sequences = [ProbeSequence(prompt=[5], token_ids=[1], logprobs=[-1.0])]
        Probe(dtype="float32", tolerance=1e-3, sequences=sequences).write(folder)
        self.store: Any = SimpleNamespace(folder=lambda ref, name: folder)

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        return pl.DataFrame({"question": self.texts})

    def notes(self, steps: dict[str, int], rows: dict[str, int]) -> list[str]:
        compare_lengths.body(self, NOTHING, NOTHING, "plan", False, steps, rows)
        return list(self.facts["notes"])


@pytest.fixture
def lengths(tmp_path: Path) -> tuple[int, int]:
    """Tokens of the two questions as they are asked."""
    prompts = Prompts.read(Stage(tmp_path, []).folder, PLANS)
    short, long = (len(prompts.asked(prompts.question(text))) for text in (SHORT, LONG))
    assert short + 100 < long
    return short, long


def test_where_all_fits_nothing_is_told(tmp_path: Path, lengths: tuple[int, int]) -> None:
    _, long = lengths
    stage = Stage(tmp_path, [SHORT, LONG], max_position_embeddings=long + 50)
    assert stage.notes({"trees": 50}, {"sft": long + 1}) == []


def test_what_has_no_room_is_told_with_its_place(tmp_path: Path, lengths: tuple[int, int]) -> None:
    short, long = lengths
    stage = Stage(tmp_path, [SHORT, LONG, SHORT], max_position_embeddings=long)
    told = stage.notes({"trees": long - short + 1, "tries": long - short}, {"sft": long, "value": long + 1})
    assert told == [
        f"1 of 3 prompts fill the model's context of {long} tokens: they are not searched",
        f"trees: behind 2 of 3 prompts the model's context of {long} tokens has no room for a step of max_step_tokens "
        f"({long - short + 1}): a longer one is cut",
        f"sft: 1 of 3 questions fill max_length ({long} tokens): they teach nothing",
    ]


@pytest.mark.parametrize(
    ("context", "rows", "named"), [(0, 999, r"questions: .*context"), (999, 0, r"arms\.sft\.max_length: \d+ tokens")]
)
def test_a_round_of_which_nothing_fits_is_refused(
    context: int, rows: int, named: str, tmp_path: Path, lengths: tuple[int, int]
) -> None:
    short, _ = lengths
    stage = Stage(tmp_path, [SHORT, LONG], max_position_embeddings=short + context)
    with pytest.raises(NoRoom, match=named):
        stage.notes({"trees": 1}, {"sft": short + rows})


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 64, "rope_parameters": {"rope_type": "default"}}, 64),
        ({"n_positions": 32}, 32),
        ({"max_position_embeddings": 64, "rope_scaling": {"type": "yarn", "factor": 4.0}}, None),
        ({}, None),
    ],
)
def test_a_context_that_is_not_plainly_said_is_not_guessed(
    config: dict[str, Any], context: int | None, tmp_path: Path
) -> None:
    assert ModelFolder.read(Stage(tmp_path, [], **config).folder).context == context
