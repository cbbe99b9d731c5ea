"""What counts as rounding between an engine's log-probs and the probe's, and what an engine is asked before that."""

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.contract.model_folder import Probe, ProbeSequence, ValueWords
from infra.engine.model_folder import ModelFolder
from infra.engine.proof import Difference
from infra.engine.serving import _others
from infra.environment import Environment

LIKELY = [-6.0, -7.0, -0.3, -2.5, -4.0, -4.5]


def sequences(count: int = 64) -> list[ProbeSequence]:
    return [ProbeSequence(prompt=[1, 2], token_ids=list(range(6)), logprobs=LIKELY) for _ in range(count)]


def served(change: Any, count: int = 64) -> Difference:
    return Difference.of(sequences(count), [[change(i, one) for one in LIKELY] for i in range(count)])


def test_float32_is_exact_and_bfloat16_rounds() -> None:
    rng = random.Random(0)
    noise = served(lambda i, one: one + rng.gauss(0.0, 0.1))
    assert noise.is_rounding(None)
    assert not noise.is_rounding(1e-3)
    assert served(lambda i, one: one + 5e-4).is_rounding(1e-3)


def test_one_position_that_rounds_badly_is_no_other_model() -> None:
    """Measured on a right engine: 1.23 at one of 96 positions, .076 on average."""
    difference = served(lambda i, one: one + (1.23 if i == 7 else 0.07))
    assert difference.largest == pytest.approx(1.23)
    assert difference.is_rounding(None)


def test_a_model_that_is_a_little_off_everywhere_or_prefers_other_tokens_is_another() -> None:
    assert not served(lambda i, one: one + 0.2).is_rounding(None)
    swapped = Difference.of(
        sequences(), [[*LIKELY[:2], -2.5, -0.3, *LIKELY[4:]] if i < 8 else LIKELY for i in range(64)]
    )
    assert swapped.mean < 0.15
    assert swapped.agreement == pytest.approx(56 / 64)
    assert not swapped.is_rounding(None)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_nan_is_no_rounding_on_either_side(broken: float) -> None:
    difference = served(lambda i, one: broken if i == 3 else one)
    assert not difference.is_rounding(1e-3)
    assert not difference.is_rounding(None)
    with pytest.raises(ValueError, match="finite"):
        ProbeSequence(prompt=[1], token_ids=[1], logprobs=[broken])
    unchecked = ProbeSequence.model_construct(prompt=[1], token_ids=[1], logprobs=[broken])
    assert not Difference.of([unchecked], [[-1.0]]).is_rounding(1e-3)
    assert not Difference.of([unchecked], [[broken]]).is_rounding(None)


def test_a_multimodal_config_is_told_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"vocab_size": 7}}))
    with pytest.raises(ValueError, match=r"config\.json: vocab_size is missing"):
        ModelFolder.read(tmp_path)


class DevelopmentServer:
    """Swaps weights as vLLM does in its development mode, and answers with what is in it."""

    def __init__(self, *, takes_weights: bool, holds: float) -> None:
        self.takes_weights = takes_weights
        self.holds = holds
        self.done: list[str] = []
        self.salts: list[str] = []

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/v1/models":
            return 200, {"data": [{"id": "policy", "max_model_len": 512}]}
        if path == "/v1/completions":
            self.salts.append(body["cache_salt"])
            top = {f"token_id:{token}": self.holds for token in body["logprob_token_ids"]}
            return 200, {"choices": [{"logprobs": {"top_logprobs": [top]}}]}
        if path == "/metrics":
            return 200, {}
        self.done.append(body.get("action") or body["method"])
        if path == "/weight_checker":
            self.holds = 0.0
        elif self.takes_weights:
            self.holds = -1.0
        else:
            return 500, {}
        return 200, {}


@asynccontextmanager
async def running(server: DevelopmentServer) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0))
        status, answer = server.answer(head.split(" ")[1], json.loads(body or b"{}"))
        text = json.dumps(answer).encode()
        writer.write(f"HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def folder(path: Path) -> ModelFolder:
    one = ProbeSequence(prompt=[1, 2], token_ids=[3, 4], logprobs=[-1.0, -1.0])
    words = ValueWords(good=3, bad=4, eos=0, knows_format=True)
    return ModelFolder(path, {"vocab_size": 9}, words, Probe(dtype="bfloat16", tolerance=0.15, sequences=[one]))


def serve_by(server: DevelopmentServer, path: Path) -> list[str]:
    messages: list[str] = []

    async def story() -> None:
        async with running(server) as url:
            settings = Environment(home=path, engine_urls=[url])
            async with _others(folder(path), settings, messages.append):
                pass

    asyncio.run(story())
    return messages


def test_old_weights_are_emptied_before_new_ones_are_loaded(tmp_path: Path) -> None:
    """In bfloat16 an earlier model may be too near to be told apart: it must be gone."""
    server = DevelopmentServer(takes_weights=True, holds=-1.05)
    assert serve_by(server, tmp_path) == []
    assert server.done == ["reload_weights", "reset", "reload_weights"]
    assert len(server.salts) == 2
    assert len(set(server.salts)) == 2  # no prefix that was computed in the first proof answers in the last


def test_an_engine_that_cannot_read_the_folder_keeps_its_weights_and_that_is_said(tmp_path: Path) -> None:
    server = DevelopmentServer(takes_weights=False, holds=-1.0)
    (message,) = serve_by(server, tmp_path)
    assert "takes no weights" in message
    assert server.done == ["reload_weights"]
