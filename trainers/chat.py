"""The chat template of a model that was tuned for conversations: what it puts around what a user says (design D2)."""

from datetime import date
from typing import TYPE_CHECKING

from infra.contract.model_folder import Turn
from trainers.config import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAID = "What a user says"
TODAY = date(2024, 7, 26)
"""Of templates that tell the day: else a model prepared tomorrow would be another. Llama 3.1's has this one."""
_PARTS = "".join(f" | replace('%{one}', '{TODAY.strftime('%' + one)}')" for one in "AaBbdmYyjHIMSp")
_IS_TODAY = f"{{% macro strftime_now(form) %}}{{{{ form{_PARTS} }}}}{{% endmacro %}}"
"""In a template's own language, for transformers gives it no function but its own, which reads the clock."""
THINKS, HAS_THOUGHT = "<think>", "</think>"


def turn_of(tokenizer: "PreTrainedTokenizerBase") -> Turn | None:
    """The tokens around a user's first words, a system's own included; None without a template.

    A model that would think before it answers is told not to (`enable_thinking`, where its template knows of it): what
    it thinks would be no part of a plan. A thought that its template begins all the same is ended at once.

    Raises:
        ConfigError: a template that is broken, does not keep the words as they are, once, or has nothing after them.
    """
    if tokenizer.chat_template is None:
        return None
    conversation = [{"role": "user", "content": SAID}]
    try:
        text = tokenizer.apply_chat_template(
            conversation,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
            chat_template=_IS_TODAY + str(tokenizer.chat_template),
        )
    except Exception as error:  # the template is a program of the model's makers
        raise _refused(str(error).partition("\n")[0]) from error
    before, said, after = str(text).partition(SAID)
    if not said or SAID in after:
        raise _refused(f"it does not hold a user's words once: {text!r}")
    if not after:
        raise _refused("it says nowhere that the user's words are over")
    if after.count(THINKS) > after.count(HAS_THOUGHT):
        after += f"\n{HAS_THOUGHT}\n\n"
    start = before.rstrip(" ")
    ids = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (start, after)]
    return Turn(before=ids[0], blanks=before.removeprefix(start), after=ids[1])


def _refused(why: str) -> ConfigError:
    return ConfigError(f"prompt.style: the model's chat template cannot be used ({why}); choose worked examples")
