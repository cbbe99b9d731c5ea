"""Pretrains a small Llama and its tokenizer from a file of texts (the micro base).

The corpus is JSON lines {"text": ...}; each text is closed by the end-of-text token, batches hold texts of like length.
Run as: python -m trainers.pretrain config.json
"""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from pydantic import Field
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trainers.config import Config, File, main
from trainers.schedule import share_of_peak

END = "<|end|>"
IGNORED = -100  # label of padding


class Pretrain(Config):
    corpus: File = Field(description="Texts, as JSON lines.")
    output: Path = Field(description="Folder of the model.")
    vocabulary: int = Field(ge=1, description="Tokens, delimiters included.")
    delimiters: list[str] = Field(description="Strings that are one token each.")
    largest_number: int = Field(ge=0, description="Numbers up to this one are one token each.")
    hidden: int = Field(ge=1, description="Width of the model.")
    intermediate: int = Field(ge=1, description="Width inside its MLPs.")
    layers: int = Field(ge=1, description="Of the model.")
    heads: int = Field(ge=1, description="Of its attention.")
    positions: int = Field(ge=1, description="Longest sequence in tokens.")
    updates: int = Field(ge=1, description="Of the optimiser.")
    batch_size: int = Field(ge=1, description="Texts an update.")
    learning_rate: float = Field(gt=0, description="Peak.")
    weight_decay: float = Field(ge=0, description="Of matrices.")
    warmup_ratio: float = Field(ge=0, lt=1, description="Share of the updates.")
    seed: int = Field(description="Of weights and order.")
    threads: int = Field(ge=1, description="Of torch.")
    compiled: bool = Field(description="By torch.compile, which is a quarter faster and asks for a C++ compiler.")


def train_tokenizer(texts: list[str], config: Pretrain) -> PreTrainedTokenizerFast:
    """Byte-level BPE whose words keep their leading space; delimiters are ordinary (not special) added tokens."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r" ?[A-Za-z]+| ?\d{1,2}| ?[^\sA-Za-z\d]|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=config.vocabulary - len(config.delimiters),
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    numbers = [f" {number} ({number})" for number in range(config.largest_number + 1)] * (len(texts) // 10)
    plain = [_without(config.delimiters, text) for text in texts]
    tokenizer.train_from_iterator([*plain, *numbers], trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in config.delimiters])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        model_max_length=config.positions,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast, config: Pretrain) -> LlamaForCausalLM:
    """Untied embeddings: an engine that swaps weights in place serves a wrong model when they are tied."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden,
            intermediate_size=config.intermediate,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.positions,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
            dtype="float32",
        )
    )


def batches(examples: list[torch.Tensor], size: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (input ids, labels), each int64 [size, longest of the batch]: shuffled pools, sorted by length."""
    rng = random.Random(seed)
    while True:
        order = list(range(len(examples)))
        rng.shuffle(order)
        pools = [
            sorted(order[i : i + 50 * size], key=lambda n: len(examples[n])) for i in range(0, len(order), 50 * size)
        ]
        groups = [pool[i : i + size] for pool in pools for i in range(0, len(pool), size)]
        rng.shuffle(groups)
        for group in groups:
            chosen = [examples[n] for n in group]
            yield (
                pad_sequence(chosen, batch_first=True),
                pad_sequence(chosen, batch_first=True, padding_value=IGNORED),
            )


def pretrain(config: Pretrain) -> None:
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    texts = [json.loads(line)["text"] for line in config.corpus.open()]
    tokenizer = train_tokenizer(texts[:5000], config)
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    examples = [torch.tensor([*ids, tokenizer.eos_token_id]) for ids in encoded]
    model = build_model(tokenizer, config)
    _fit(model, examples, config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id)
    model.save_pretrained(config.output)
    tokenizer.save_pretrained(config.output)


def _fit(model: LlamaForCausalLM, examples: list[torch.Tensor], config: Pretrain) -> None:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    warmup = round(config.warmup_ratio * config.updates)
    schedule = LambdaLR(optimizer, lambda done: share_of_peak(done + 1, warmup, config.updates))
    source = batches(examples, config.batch_size, config.seed)
    started = time.monotonic()
    model.train()
    forward = torch.compile(model, dynamic=True) if config.compiled else model
    for update in range(1, config.updates + 1):
        input_ids, labels = next(source)
        loss = forward(input_ids=input_ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if update % 50 == 0 or update == config.updates:
            line = {
                "update": update,
                "updates": config.updates,
                "loss": round(loss.item(), 4),
                "seconds": round(time.monotonic() - started, 1),
            }
            print(json.dumps(line), flush=True)


def _without(delimiters: list[str], text: str) -> str:
    for delimiter in delimiters:
        text = text.replace(delimiter, "\n")
    return text


if __name__ == "__main__":
    raise SystemExit(main(Pretrain, pretrain, __doc__))
