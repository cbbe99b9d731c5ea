"""A row of many tokens never has its logits over the vocabulary in memory, whatever is learnt of it.

What is in memory has bounds of its own: 4,096 x 32,768 logits in TRL's fused head, `trainers.vocabulary.LOGITS` in the
exact KL (here less). So a wide vocabulary and a hundred tokens show what 16,000 tokens need.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from infra.contract.training import Loss
from tests.trainers.conftest import IMITATION_TYPES, PREFERENCE_TYPES, save_base
from trainers import vocabulary
from trainers.learn import Learn, trainer
from trainers.model_folder import load_model
from trainers.prepare import Prepare, prepare

VOCABULARY, TOKENS = 80_000, 100
"""At least, of the model; and of a row, all of them learnt but for the prompt."""


class Largest(TorchDispatchMode):
    """How many elements the largest tensor has that was made, in whatever pass."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [one.numel() for one in tree_leaves(made) if isinstance(one, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return made


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = save_base(tmp_path_factory.mktemp("wide"), spare_rows=VOCABULARY)
    output = tmp_path_factory.mktemp("prepared")
    prepare(Prepare(model=str(base), output=output, style="trained"))
    return output / "model"


@pytest.mark.parametrize(
    "told",
    [
        {"loss": Loss(nll=1.0, value=0.5, kl=0.5), "exact_kl": True},
        {"loss": Loss(prefer=1.0, rank=0.5, value=0.5, kl=0.5)},
    ],
    ids=["imitations", "preferences"],
)
def test_of_a_long_row_no_logits_are_made(
    told: dict[str, Any], wide: Path, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference, proof of the layout, loss and gradient; a plain forward pass makes them."""
    monkeypatch.setattr(vocabulary, "LOGITS", 1 << 20)
    row: dict[str, Any] = {"question_id": "1", "prompt_ids": [5, 6, 7]}
    if told["loss"].learns_from == "imitations":
        row |= {"weight": 1.0, "completion_ids": [5] * TOKENS, "value_positions": [20], "value_targets": [0.5]}
        types = IMITATION_TYPES
    else:
        row |= {"chosen_ids": [5] * (TOKENS // 2), "rejected_ids": [6] * (TOKENS // 2)}
        row |= {"chosen_q": 0.5, "rejected_q": -0.5, "chosen_value": 0.5, "rejected_value": -0.5}
        types = PREFERENCE_TYPES
    pl.DataFrame([row], schema_overrides=types).write_parquet(tmp_path / "rows.parquet")
    config = Learn(**settings | told | {"model": wide, "lesson": tmp_path / "rows.parquet", "max_length": 2 * TOKENS})
    with Largest() as seen:
        made = trainer(config)
        batch = made.data_collator(list(made.train_dataset))
        made.current_gradient_accumulation_steps = 1
        made._get_num_items_in_batch([batch], torch.device("cpu"))
        made.compute_loss(made.model.train(), batch).backward()
    assert made.data_collator.share
    assert all(weight.grad is not None for weight in made.model.parameters())
    with Largest() as plain, torch.no_grad():
        load_model(wide)(input_ids=batch["input_ids"], use_cache=False)
    assert plain.elements >= TOKENS * VOCABULARY
    assert seen.elements < plain.elements / 2
