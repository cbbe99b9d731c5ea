"""What a preview shows: as it is, in fences that nothing in it ends."""

import re
from typing import Any

from tasks.preview import specimens


def node(node_id: int, parent: int | None, text: str, **other: Any) -> dict[str, Any]:
    kind = "root" if parent is None else "plan"
    usual = {"visits": 1, "q": 0.5, "value": None, "prior": 0.25, "reward": None, "kind": kind}
    return {"node_id": node_id, "parent_id": parent, "text": text, **usual, **other}


def test_a_fence_is_longer_than_what_it_holds() -> None:
    text = "a\n````\n# no heading\n`````"
    first, held, last = specimens.fenced(text)
    assert held == text
    assert first == last == "``````"
    assert next(iter(specimens.fenced("plain"))) == "```"


def test_a_tree_is_drawn_child_below_parent() -> None:
    nodes = [node(0, None, "Q?"), node(1, 0, "first"), node(2, 0, "second", reward=-1.0, q=-1.0), node(3, 1, "third")]
    drawn = "\n".join(specimens.tree(nodes, "Q?")).splitlines()
    lines = [line for line in drawn if "[N" in line]
    assert [line.split(": ")[-1] for line in lines[1:]] == ["first", "third", "second"]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4, 2]
    assert "plan wrong" in lines[3]
    assert "Q -1.00" in lines[3]


def test_a_large_tree_is_cut_and_says_so() -> None:
    nodes = [node(0, None, "Q?"), *(node(i, i - 1, f"step {i}") for i in range(1, 500))]
    drawn = "\n".join(specimens.tree(nodes, "Q?"))
    assert drawn.count("[N") == specimens.MOST_NODES
    assert f"… and {500 - specimens.MOST_NODES} nodes more" in drawn


def test_a_prompt_tells_its_tokens() -> None:
    shown = "\n".join(specimens.prompt("ab cd", [7, 8, 9], ["ab", " ", "cd"], shared=1))
    assert "3 tokens, of which the first 1 are the same" in shown
    assert "7='ab'  8=' '  9='cd'" in shown


def test_a_long_prompt_tells_its_start_and_its_end_and_divides_no_token() -> None:
    ids = list(range(1000))
    shown = "\n".join(specimens.prompt("", ids, [" a b"] * 1000, shared=0))
    assert f"… {1000 - 2 * specimens.SHOWN} more …" in shown
    told = [word for line in shown.splitlines() if "=' a b'" in line for word in line.split("  ") if "=" in word]
    assert told == [f"{id}=' a b'" for id in [*ids[: specimens.SHOWN], *ids[-specimens.SHOWN :]]]
    assert max(map(len, shown.splitlines())) <= specimens.WIDTH


def test_rows_tell_what_is_learnt_of_them() -> None:
    sides = {"chosen": "yes", "rejected": "no", "chosen_q": 1.0, "rejected_q": -0.5}
    ids = {"prompt_ids": [1, 2, 3], "chosen_ids": [4, 5], "rejected_ids": [6]}
    values = {"chosen_value": 0.3, "rejected_value": -0.15}
    pair = "\n".join(specimens.pair({"kind": "solution", "prompt": "state", **sides, **ids, **values}))
    assert "2 of the chosen, 1 of the rejected one, after 3 of the state" in pair
    assert re.search(r"Rejected, Q -0.50, in the loss -0.15", pair)
    path = {"prompt": "Q?", "completion": "A", "prompt_ids": [1], "completion_ids": [2, 3], "weight": 1.0}
    row = "\n".join(specimens.imitation({**path, "value_positions": [1], "value_targets": [-0.25]}))
    assert "1 tokens of a question" in row
    assert "-0.25" in row
