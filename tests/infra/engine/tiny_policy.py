"""A tiny policy for the engine's tests: a Llama with untied embeddings that has learned one text by heart."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PROMPT = "<question>\nTom has 2 apples and buys 3.\n</question>\n<plan>\n"
STEP = "<step>\nPlan 1: Add the apples that he buys.\n</step>\n"
SOLUTION = "</plan>\n<solution>\n1. 2 + 3 = 5.\nThe final answer is \\boxed{5}.\n</solution>"
PAD, END, GOOD, BAD = range(4)


def make_policy(folder: Path, *, seed: int, updates: int = 60, hidden: int = 64) -> Path:
    """Writes a model folder whose value words have random rows, so that V is not zero."""
    text = Tokenizer(models.BPE())
    text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text.decoder = decoders.ByteLevel()
    words = ["<|pad|>", "<|end|>", "<|good|>", "<|bad|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    text.train_from_iterator(
        [PROMPT + STEP + SOLUTION],
        trainers.BpeTrainer(vocab_size=320, special_tokens=words, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=text, eos_token="<|end|>", pad_token="<|pad|>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            eos_token_id=END,
            pad_token_id=PAD,
            initializer_range=0.2,
        )
    )
    known = torch.tensor([[*tokenizer.encode(PROMPT + STEP + SOLUTION), END]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(updates):
        model(known, labels=known).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.train(False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "policy.json").write_text(json.dumps({"good": GOOD, "bad": BAD, "eos": END, "knows_format": True}))
    sequences = []
    for length in (8, 33, 64):
        prompt = known[0, :length].tolist()
        logprobs = forward(model, prompt)[-1]
        token_ids = [GOOD, BAD, *logprobs.topk(4).indices.tolist()]
        sequences.append({"prompt": prompt, "token_ids": token_ids, "logprobs": logprobs[token_ids].tolist()})
    probe = {"dtype": "float32", "tolerance": 1e-3, "sequences": sequences}
    (folder / "probe.json").write_text(json.dumps(probe))
    return folder


def load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


def forward(model: LlamaForCausalLM, token_ids: list[int]) -> torch.Tensor:
    """Log-softmax at every position: [T, vocabulary], float32."""
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([token_ids])).logits[0], dim=-1)
