"""Tiny models with random weights, with tokenizers as the common families have them: made here, nothing of the hub."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from trainers.model_folder import PROBE_TEXT

TEXTS = [
    PROBE_TEXT,
    "<step>\nPlan 2: Add both numbers.\n</step>\n</plan>\n<solution>\n1. 48 + 24 = 72.\n"
    "The final answer is \\boxed{72}.\n</solution>",
    " Tom has 2 apples and buys 3 more.  How many does he have? $x^2 + y$\n\tdef f(x): return x",
]
WIDTH = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """`config`: of the model, given the size of its vocabulary. `special`: as tokenizer_config.json names them."""

    tokenizer: Callable[[], Tokenizer]
    config: Callable[[int], PretrainedConfig]
    special: dict[str, str]
    tokenizer_class: str = "PreTrainedTokenizerFast"
    has_bos: bool = True
    markup: list[AddedToken] = field(default_factory=list)


def save(family: Family, folder: Path, *, seed: int = 0) -> Path:
    """A base model as a hub would hold it."""
    backend = family.tokenizer()
    backend.add_special_tokens([*dict.fromkeys(family.special.values())])
    backend.add_tokens(family.markup)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **family.special)
    tokenizer.save_pretrained(folder)
    backend.save(str(folder / "tokenizer.json"))
    about = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(about | {"tokenizer_class": family.tokenizer_class}))
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(family.config(backend.get_vocab_size() + 3)).save_pretrained(folder)
    return folder


def byte_level(
    *, regex: str | None = None, bos: str | None = None, prefix: bool = False, nfc: bool = False
) -> Tokenizer:
    """GPT-2, Llama 3, Qwen, Phi."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=regex is not None))
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex is None)
    split = [pre_tokenizers.Split(pattern=_regex(regex), behavior="isolated")] if regex else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, level]) if split else level
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner = trainers.BpeTrainer(vocab_size=360, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, learner)
    if bos:
        tokenizer.add_special_tokens([bos])
        tokenizer.post_processor = template(tokenizer, f"{bos} $A")
    return tokenizer


def sentencepiece(*, style: str, template_of: str = "<s> $A") -> Tokenizer:
    """Llama 2 ("prepend"), Mistral ("metaspace"), Gemma ("plain"): BPE over blanks as ▁, with bytes to fall back on."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=150, show_progress=False))
    trained = json.loads(learner.to_str())["model"]
    reserved = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = [*reserved, *(piece for piece in trained["vocab"] if piece not in reserved)]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=[tuple(pair) for pair in trained["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    _blanks(tokenizer, style)
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = template(tokenizer, template_of)
    return tokenizer


def unigram() -> Tokenizer:
    """As of llm-jp and others: control tokens and bytes are pieces of the vocabulary, with the best scores."""
    learner = Tokenizer(models.Unigram())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    ascii_letters = [chr(code) for code in range(33, 127)]
    learning = trainers.UnigramTrainer(vocab_size=160, initial_alphabet=ascii_letters, show_progress=False)
    learner.train_from_iterator(TEXTS, learning)
    trained = [(piece, score) for piece, score in json.loads(learner.to_str())["model"]["vocab"]]
    reserved = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"<0x{byte:02X}>", 0.0) for byte in range(256))]
    tokenizer = Tokenizer(models.Unigram([*reserved, *trained], unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always", split=False)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = template(tokenizer, "<s> $A </s>")
    return tokenizer


def _blanks(tokenizer: Tokenizer, style: str) -> None:
    bytes_and_blanks = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if style == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif style == "metaspace":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
    strip = [] if style == "plain" else [decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence([*bytes_and_blanks, *strip])


def template(tokenizer: Tokenizer, single: str) -> Any:
    special = [(word, tokenizer.token_to_id(word)) for word in single.split() if word != "$A"]
    return processors.TemplateProcessing(single=single, special_tokens=special)


def _regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)


def _llama_like(kind: type[PretrainedConfig], **more: Any) -> Callable[[int], PretrainedConfig]:
    shape = WIDTH | {"num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.2} | more
    return lambda size: kind(vocab_size=size, bos_token_id=None, **shape)


TEXT = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
CHAT = [AddedToken(word, special=True, normalized=False) for word in ("<|im_start|>", "<|im_end|>")]
THINK = [AddedToken(word, special=False, normalized=False) for word in ("<think>", "</think>")]
RIGHT = [AddedToken("<|user|>", special=False, rstrip=True, normalized=False)]
RUNS = [AddedToken(" " * length, special=False, normalized=True) for length in (2, 4, 8)]

FAMILIES = {
    "llama-2": Family(
        tokenizer=lambda: sentencepiece(style="prepend"),
        config=_llama_like(LlamaConfig),
        special=TEXT,
        tokenizer_class="LlamaTokenizer",
    ),
    "llama-2 as it is": Family(
        tokenizer=lambda: sentencepiece(style="prepend"), config=_llama_like(LlamaConfig), special=TEXT
    ),
    "llama-3": Family(
        tokenizer=lambda: byte_level(regex=LLAMA_3, bos="<|begin_of_text|>"),
        config=_llama_like(LlamaConfig, tie_word_embeddings=True),
        special={"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
    ),
    "mistral": Family(
        tokenizer=lambda: sentencepiece(style="metaspace"),
        config=_llama_like(MistralConfig, num_key_value_heads=1),
        special=TEXT,
    ),
    "ends every text": Family(
        tokenizer=lambda: sentencepiece(style="metaspace", template_of="<s> $A </s>"),
        config=_llama_like(LlamaConfig),
        special=TEXT,
    ),
    "qwen2": Family(
        tokenizer=lambda: byte_level(regex=LLAMA_3, nfc=True),
        config=_llama_like(Qwen2Config, tie_word_embeddings=True),
        special={"eos_token": "<|endoftext|>"},
        tokenizer_class="Qwen2Tokenizer",
        has_bos=False,
        markup=CHAT,
    ),
    "qwen3": Family(
        tokenizer=lambda: byte_level(regex=LLAMA_3, nfc=True),
        config=_llama_like(Qwen3Config, head_dim=32),
        special={"eos_token": "<|endoftext|>"},
        has_bos=False,
        markup=[*CHAT, *THINK],
    ),
    "gemma": Family(
        tokenizer=lambda: sentencepiece(style="plain"),
        config=_llama_like(GemmaConfig, num_key_value_heads=1, head_dim=32, tie_word_embeddings=True),
        special=TEXT,
        markup=[AddedToken("<h1>", normalized=False), AddedToken("\n\n", normalized=False)],
    ),
    "gpt-2": Family(
        tokenizer=lambda: byte_level(prefix=True),
        config=lambda size: GPT2Config(
            vocab_size=size, n_positions=512, n_embd=64, n_layer=2, n_head=2, initializer_range=0.2
        ),
        special={"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        has_bos=False,
    ),
    "phi": Family(
        tokenizer=byte_level,
        config=_llama_like(PhiConfig),
        special={"eos_token": "<|endoftext|>"},
        has_bos=False,
        markup=[*RIGHT, *RUNS],
    ),
    "unigram": Family(tokenizer=unigram, config=_llama_like(LlamaConfig), special=TEXT),
    "tags are tokens": Family(
        tokenizer=byte_level,
        config=_llama_like(LlamaConfig),
        special={"eos_token": "<|end|>"},
        has_bos=False,
        markup=[
            AddedToken("<step>\n", normalized=False),
            AddedToken("\n</question>\n", special=True, normalized=False),
        ],
    ),
}
