"""What two processes agree on: read as it was written, told where it is wrong, and light to import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.contract.model_folder import Probe, ProbeSequence, ValueWords
from infra.environment import ROOT

WORDS = ValueWords(good=3, bad=4, eos=0, knows_format=False)
PROBE = Probe(
    dtype="float32", tolerance=1e-3, sequences=[ProbeSequence(prompt=[5], token_ids=[3, 4], logprobs=[-0.5, -1.25])]
)


def imported(folder: str) -> Iterator[str]:
    """The modules that the files of a folder import, anywhere in them."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            if isinstance(node, ast.ImportFrom):
                yield node.module or ""


def test_the_contract_imports_pydantic_alone() -> None:
    others = {module for module in imported("infra/contract") if module.split(".")[0] not in sys.stdlib_module_names}
    assert "pydantic" in others
    assert all(module == "pydantic" or module.startswith("infra.contract") for module in others), others


def test_what_a_trainer_writes_an_engine_reads(tmp_path: Path) -> None:
    WORDS.write(tmp_path)
    PROBE.write(tmp_path)
    assert (tmp_path / "policy.json").read_text() == '{"good": 3, "bad": 4, "eos": 0, "knows_format": false}\n'
    assert (ValueWords.read(tmp_path), Probe.read(tmp_path)) == (WORDS, PROBE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"is no model folder of the factory: policy\.json is missing .*trainers\.prepare"),
        ("{", r"policy\.json: Invalid JSON"),
        ('{"good": -1, "bad": 4, "eos": 0, "knows_format": true}', r"policy\.json: good: Input should be greater"),
        ('{"good": 3, "eos": 0, "knows_format": true}', r"policy\.json: bad: Field required"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_field(text: str | None, told: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "policy.json").write_text(text)
    with pytest.raises(ValueError, match=told):
        ValueWords.read(tmp_path)
