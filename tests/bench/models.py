"""The models of the benchmarks, made ready once (build/bench/models/<name>-<digest>/model), and who serves them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.engine import tenant
from infra.environment import Environment, environment
from tasks.stages.model import locate

BUILD = Path("build/bench")
SHAPES = {
    "smollm2-1.7b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 64,
    }
}
"""Models with SmolLM2-135M's words and random weights: what a training costs does not depend on what it knows."""


@contextmanager
def engines_of_our_own() -> Iterator[Environment]:
    """Where a benchmark's engines run: not those of a round. They end with the context."""
    os.environ.setdefault("CPL_HOME", str(BUILD / "home"))
    here = environment()
    with tenant(here):
        yield here


def prepared(name: str, folder: Path) -> Path:
    """The model folder that the stage `model` would make of this name (see `tasks.stages.model.locate`) or shape."""
    source = locate(str(drawn(name, folder)) if name in SHAPES else name)
    output = folder / f"{Path(name).name}-{source.digest[:12]}"
    if not (output / "summary.json").exists():
        output.mkdir(parents=True, exist_ok=True)
        config = {
            "model": source.location,
            "revision": source.revision,
            "output": str(output),
            "style": source.style,
        }
        (output / "prepare.json").write_text(json.dumps(config))
        subprocess.run([sys.executable, "-m", "trainers.prepare", str(output / "prepare.json")], check=True)
    return output / "model"


def drawn(name: str, folder: Path) -> Path:
    """A base model of that shape, as a hub would hold it: bfloat16, weights drawn by its architecture's own rule."""
    base = folder / f"{name}-drawn"
    if not base.exists():
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        from trainers.device import device
        from trainers.model_folder import load_tokenizer

        words = prepared("smollm2", folder)
        config = AutoConfig.from_pretrained(words)
        config.update(SHAPES[name])
        torch.manual_seed(1)
        with device():
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        unfinished = base.with_suffix(".unfinished")
        model.save_pretrained(unfinished)
        load_tokenizer(words).save_pretrained(unfinished)
        unfinished.rename(base)
    return base
