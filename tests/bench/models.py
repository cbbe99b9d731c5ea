"""The models of the benchmarks, made ready once: build/bench/models/<name>-<digest>/model."""

import json
import subprocess
import sys
from pathlib import Path

from tasks.stages.model import locate


def prepared(name: str, folder: Path) -> Path:
    """The model folder that the stage `model` would make of this name (see `tasks.stages.model.locate`)."""
    source = locate(name)
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
