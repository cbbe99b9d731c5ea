"""A tokenizer that gives back the text it was given, whatever parts it is given in (design D1: token ids in and out).

Prompts are put together from parts that were encoded alone, and steps are decoded alone. So nothing may depend on
where a text begins: no blank is added before it (sentencepiece, Metaspace) nor taken off when it is decoded, and no
character is changed on the way. The beginning of a sequence (BOS) is what the model had; its end is never added.

Trainers, factory and engine read the same tokenizer.json, as a class that changes nothing of it.
"""

import json
import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from trainers.config import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TAGS = re.compile(r"\s*</?(?:question|plan|step|solution|verdict|reflection)>\s*")
"""The text format's own tags: of a tokenizer that has them as tokens, they are part of the text."""

_MARKUP = re.compile(r"[<\[{].+[>\]}]", re.DOTALL)
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_NEVER = -1e6
"""Score of a piece that no text is cut into."""


def plain(tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerFast":
    """The same vocabulary and ids, made to keep text as it is.

    Raises ConfigError for a tokenizer that cannot: it has no tokenizer.json, or loses characters or blanks.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from trainers.model_folder import PROBE_TEXT

    if not isinstance(backend := getattr(tokenizer, "backend_tokenizer", None), Tokenizer):
        raise ConfigError(
            f"its tokenizer ({type(tokenizer).__name__}) has no form as tokenizer.json, which the engine and the "
            "factory read; convert it to a fast tokenizer of transformers"
        )
    backend = Tokenizer.from_str(json.dumps(_neutral(json.loads(backend.to_str()), _start(backend))))
    parts = [*PROBE_TEXT.splitlines(keepends=True), " Plan  1: in May\n\n", "   ", "\n"]
    for together in (*([part] for part in parts), parts):
        _check(backend, together)
    named = {
        name: str(token)
        for name in ("bos_token", "eos_token", "unk_token", "pad_token")
        if (token := getattr(tokenizer, name)) is not None
    }
    template = tokenizer.chat_template  # of several, which have names, the one for a conversation without tools
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        clean_up_tokenization_spaces=False,
        chat_template=template.get("default") if isinstance(template, dict) else template,
        **named,
    )


def _start(backend: Any) -> list[tuple[str, int]]:
    """The special tokens that the tokenizer puts before a text, with their ids."""
    backend.no_truncation()
    backend.no_padding()
    encoded = backend.encode("1")
    marked = zip(encoded.special_tokens_mask, encoded.tokens, encoded.ids, strict=True)
    return [(token, number) for _, token, number in takewhile(lambda one: one[0], marked)]


def _neutral(tokenizer: dict[str, Any], start: list[tuple[str, int]]) -> dict[str, Any]:
    """`tokenizer`: the content of a tokenizer.json."""
    for token in tokenizer["added_tokens"]:
        # What marks up a conversation is never meant by the text of a question: special tokens can be told to stay
        # out of it. The format's own tags are text.
        token["special"] = not TAGS.fullmatch(token["content"]) and (
            token["special"] or _MARKUP.fullmatch(token["content"]) is not None
        )
        token["lstrip"] = token["rstrip"] = False
    model = tokenizer["model"]
    if model["type"] == "BPE":
        model["dropout"] = None
    if model["type"] == "Unigram":
        marks = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
        model["vocab"] = [
            [piece, _NEVER if piece in marks or _BYTE.fullmatch(piece) else score] for piece, score in model["vocab"]
        ]
    template = [{"SpecialToken": {"id": token, "type_id": 0}} for token, _ in start]
    return tokenizer | {
        "truncation": None,
        "padding": None,
        "normalizer": _anywhere(tokenizer["normalizer"], "normalizers"),
        "pre_tokenizer": _anywhere(tokenizer["pre_tokenizer"], "pretokenizers"),
        "decoder": _anywhere(tokenizer["decoder"], "decoders"),
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*template, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [*template, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in start},
        },
    }


def _anywhere(part: dict[str, Any] | None, members: str) -> dict[str, Any] | None:
    """A stage of the tokenizer without what it does only where a text begins, or to its characters."""
    if part is None:
        return None
    if part["type"] == "Sequence":
        kept = [one for member in part[members] if (one := _anywhere(member, members))]
        return part | {members: kept} if kept else None
    if members == "normalizers":
        is_blank = part["type"] == "Replace" and part["pattern"] == {"String": " "}
        return part if is_blank or part["type"] == "ByteLevel" else None
    if part["type"] == "Metaspace":
        return part | {"prepend_scheme": "never"}
    if part["type"] == "ByteLevel":
        return part | {"add_prefix_space": False}
    return None if part["type"] == "Strip" else part


def _check(backend: Any, parts: list[str]) -> None:
    ids = [number for part in parts for number in backend.encode(part, add_special_tokens=False).ids]
    text, back = "".join(parts), backend.decode(ids, skip_special_tokens=False)
    if back != text:
        raise ConfigError(
            f"its tokenizer does not give text back as it was: {text!r} becomes {back!r}; the text format needs line "
            "ends, blanks and capitals, so choose a model with a byte-level or sentencepiece tokenizer"
        )
