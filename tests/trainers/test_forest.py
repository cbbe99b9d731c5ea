"""Sequences in a forest: each token sees what it sees in a row of its own, and what they share is there once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from tests.trainers.families import FAMILIES
from trainers.forest import Forest, mask, plant

FEW = st.lists(st.integers(0, 2), min_size=1, max_size=6)
"""Token ids of three kinds: most sequences share a beginning with another."""


def seen(forest: Forest, place: int) -> list[int]:
    """Ids of the tokens that the token at a place of the flattened rows sees, itself included, in order."""
    row, column = divmod(place, forest.input_ids.shape[1])
    return forest.input_ids[row][mask(forest.ends)[row, 0, column]].tolist()


@given(st.lists(FEW, min_size=1, max_size=12), st.integers(1, 20), st.booleans())
@settings(max_examples=200)
def test_every_token_sees_its_own_sequence_up_to_itself_at_its_own_position(
    sequences: list[list[int]], capacity: int, share: bool
) -> None:
    forest = plant(sequences, capacity, pad=9, share=share)
    for ids, places in zip(sequences, forest.places, strict=True):
        assert forest.input_ids.flatten()[places].tolist() == ids
        assert forest.position_ids.flatten()[places].tolist() == list(range(len(ids)))
        for at, place in enumerate(places):
            assert seen(forest, int(place)) == ids[: at + 1]
    assert forest.input_ids.shape[1] <= max(capacity, *map(len, sequences))


@given(st.lists(FEW, min_size=1, max_size=12))
def test_in_one_row_each_beginning_stands_once(sequences: list[list[int]]) -> None:
    beginnings = {tuple(ids[:n]) for ids in sequences for n in range(1, len(ids) + 1)}
    forest = plant(sequences, 1000, pad=9)
    assert len(forest.input_ids) == 1
    assert forest.tokens == len(beginnings)
    assert plant(sequences, 1000, pad=9, share=False).tokens == sum(map(len, sequences))


def test_in_a_row_sequences_stand_in_the_order_of_their_tokens() -> None:
    """As a walk through the tree meets them: 9 before 300, and what begins alike side by side."""
    forest = plant([[300, 1], [9], [300], [10, 2]], 10, pad=0)
    assert forest.input_ids.tolist() == [[9, 10, 2, 300, 1]]
    assert [where.tolist() for where in forest.places] == [[3, 4], [0], [3], [1, 2]]


def test_a_mask_is_made_where_its_rows_are() -> None:
    assert mask(torch.ones(1, 3, dtype=torch.int64, device="meta")).device.type == "meta"


def test_a_row_that_is_full_is_followed_by_another_and_padding_sees_itself_alone() -> None:
    forest = plant([[1, 2, 3], [1, 2, 4], [5], [1, 2, 3]], 4, pad=9)
    assert forest.input_ids.tolist() == [[1, 2, 3, 4], [5, 9, 9, 9]]
    assert forest.position_ids.tolist() == [[0, 1, 2, 2], [0, 0, 0, 0]]
    assert mask(forest.ends)[1, 0].tolist() == torch.eye(4, dtype=torch.bool).tolist()
    assert [places.tolist() for places in forest.places] == [[0, 1, 2], [0, 1, 3], [4], [0, 1, 2]]


def logprobs(model: torch.nn.Module, forest: Forest) -> list[torch.Tensor]:
    logits = model(
        input_ids=forest.input_ids, position_ids=forest.position_ids, attention_mask=mask(forest.ends)
    ).logits
    return [logits.flatten(0, 1)[torch.from_numpy(places)].log_softmax(-1) for places in forest.places]


@pytest.mark.parametrize("name", ["llama-2", "mistral", "qwen2", "qwen3", "gemma", "gpt-2", "phi"])
def test_a_model_computes_the_same_as_for_each_sequence_alone(name: str) -> None:
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(FAMILIES[name].config(50)).eval()
    start = [7, 8, 9, 10] * 5
    sequences = [start + [11] * 3, [*start, 12, 13], [*start, 11, 14], start, [5, 6], [*start[:7], 20, 21, 22]]
    with torch.no_grad():
        shared = logprobs(model, plant(sequences, 64, pad=0))
        alone = [model(torch.tensor([ids])).logits[0].log_softmax(-1) for ids in sequences]
    for one, other in zip(shared, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
