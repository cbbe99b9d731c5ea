"""The chat template of a model that was tuned for conversations: what it puts around what a user says (design D2)."""

from typing import TYPE_CHECKING

from infra.contract.model_folder import Turn
from trainers.config import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAID = "What a user says"


def turn_of(tokenizer: "PreTrainedTokenizerBase") -> Turn | None:
    """The tokens around a user's first words, a system's own included; None without a template.

    A model that would think before it answers is told not to (`enable_thinking`, where its template knows of it): what
    it thinks would be no part of a plan.

    Raises:
        ConfigError: a template that is broken, or does not keep the words as they are, once.
    """
    if tokenizer.chat_template is None:
        return None
    conversation = [{"role": "user", "content": SAID}]
    try:
        text = tokenizer.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    except Exception as error:  # the template is a program of the model's makers
        raise _refused(str(error).partition("\n")[0]) from error
    before, said, after = str(text).partition(SAID)
    if not said or SAID in after:
        raise _refused(f"it does not hold a user's words once: {text!r}")
    ids = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (before, after)]
    return Turn(before=ids[0], after=ids[1])


def _refused(why: str) -> ConfigError:
    return ConfigError(f"prompt.style: the model's chat template cannot be used ({why}); choose worked examples")
