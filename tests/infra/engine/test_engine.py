"""The real engine with a tiny policy: values and log-probs are the model's own, and only the right model is served."""

import asyncio
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
import torch
from pydantic import SecretStr

from infra.contract.engine_file import engines_of
from infra.engine import (
    MOST_STOPS,
    Completion,
    EngineError,
    ModelChanged,
    Reply,
    WrongModel,
    serving,
    stop_local_engines,
)
from infra.engine.connections import bearer
from infra.engine.model_folder import ModelFolder
from infra.engine.server import LocalEngine, answers, local_engine, start_local_engine
from infra.environment import Environment
from infra.stack.metrics import OF_ENGINE, of_engine
from tests.infra.engine.tiny_policy import BAD, GOOD, PROMPT, STEP, forward, load, make_policy

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_policy(tmp_path_factory.mktemp("policy"), seed=1)


@pytest.fixture(scope="module")
def other_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture and tokenizer, other weights."""
    return make_policy(tmp_path_factory.mktemp("other"), seed=2)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    here = Environment(home=tmp_path_factory.mktemp("home"), engine_urls=[], device="cpu")
    yield here
    stop_local_engines(here)
    assert local_engine(here) is None


@pytest.fixture
def running(policy: Path, settings: Environment) -> LocalEngine:
    """The home's engine, whichever test comes first; it serves `policy`."""

    async def start() -> None:
        async with serving(policy, settings):
            pass

    asyncio.run(start())
    engine = local_engine(settings)
    assert engine is not None
    return engine


def test_an_engine_that_could_not_be_written_down_is_ended(policy: Path, tmp_path: Path) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    here = Environment(home=tmp_path, engine_urls=[], device="cpu", engine_python=sleeper)
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / f"engine.json.{os.getpid()}.part").symlink_to("/dev/full")
    before = psutil.Process().children()
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(start_local_engine(ModelFolder.read(policy), here, print))
    assert psutil.Process().children() == before
    assert local_engine(here) is None


def test_on_a_cpu_its_core_is_forked_and_imports_nothing_anew(running: LocalEngine) -> None:
    """A forked process lies where its parent lies in memory; one that is spawned, elsewhere."""

    def place_of_the_program(pid: int) -> str:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return next(line.split("-")[0] for line in maps if "/python3" in line)

    (core,) = (child for child in psutil.Process(running.pid).children() if "EngineCore" in child.cmdline()[0])
    assert place_of_the_program(core.pid) == place_of_the_program(running.pid)


def references(folder: Path, prompt_ids: list[int], completion: Completion) -> tuple[list[float], list[float]]:
    """Log-prob and value of every token of the completion by transformers' own forward pass."""
    model, _ = load(folder)
    logprobs = forward(model, prompt_ids + completion.token_ids)[len(prompt_ids) - 1 : -1]
    chosen = logprobs.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
    values = torch.tanh((logprobs[:, GOOD] - logprobs[:, BAD]) / 2)
    return chosen.tolist(), values.tolist()


def test_logprobs_and_values_are_those_of_the_models_forward_pass(policy: Path, settings: Environment) -> None:
    _, tokenizer = load(policy)
    prompt_ids = tokenizer.encode(PROMPT)

    async def sample() -> tuple[list[Completion], list[float]]:
        async with serving(policy, settings) as engine:
            warm = await engine.complete(prompt_ids, n=4, temperature=0.7, max_tokens=40)
            greedy = await engine.complete(prompt_ids, n=1, temperature=0.0, max_tokens=40)
            hot = await engine.complete(prompt_ids, n=2, temperature=2.0, max_tokens=40)
            completions = warm.completions + greedy.completions + hot.completions
            return completions, await engine.values([prompt_ids, prompt_ids[:-3]])

    completions, values = asyncio.run(sample())
    assert len(completions) == 7
    for completion in completions:
        logprobs, at_each_token = references(policy, prompt_ids, completion)
        assert completion.logprobs == pytest.approx(logprobs, abs=1e-4)
        assert completion.values == pytest.approx(at_each_token, abs=1e-4)
        assert GOOD not in completion.token_ids
        assert BAD not in completion.token_ids
        assert max(map(abs, completion.values)) > 0.1
    model, _ = load(policy)
    for value, ids in zip(values, [prompt_ids, prompt_ids[:-3]], strict=True):
        last = forward(model, ids)[-1]
        assert value == pytest.approx(math.tanh((last[GOOD] - last[BAD]) / 2), abs=1e-4)


def test_without_log_probs_the_same_is_written_and_the_value_words_are_as_little(
    policy: Path, settings: Environment
) -> None:
    _, tokenizer = load(policy)
    prompt_ids = tokenizer.encode(PROMPT)

    async def sample() -> tuple[Completion, Completion, list[Completion]]:
        async with serving(policy, settings) as engine:
            scored, plain = [
                await engine.complete(prompt_ids, n=1, temperature=0.0, max_tokens=40, scored=scored)
                for scored in (True, False)
            ]
            hot = await engine.complete(prompt_ids, n=8, temperature=2.0, max_tokens=40, scored=False)
            return scored.completions[0], plain.completions[0], hot.completions

    scored, plain, hot = asyncio.run(sample())
    assert plain == replace(scored, logprobs=[], values=[])
    assert not {GOOD, BAD} & {token for one in hot for token in one.token_ids}


def test_an_action_ends_with_the_last_token_of_its_delimiter(policy: Path, settings: Environment) -> None:
    _, tokenizer = load(policy)

    async def sample() -> list[Completion]:
        async with serving(policy, settings) as engine:
            ends = ["</step>\n", "</solution>", "never", "ever"]
            assert len(ends) == MOST_STOPS
            with pytest.raises(ValueError, match="5 strings are to end a completion; the engine takes 4"):
                await engine.complete([5], n=1, temperature=0.7, max_tokens=1, stop=[*ends, "more"])
            reply = await engine.complete(tokenizer.encode(PROMPT), n=8, temperature=0.7, max_tokens=100, stop=ends)
            assert reply.usage.prompt_tokens == len(tokenizer.encode(PROMPT))
            assert reply.usage.generated_tokens == sum(len(one.token_ids) for one in reply.completions)
            return reply.completions

    completions = asyncio.run(sample())
    stopped = [one for one in completions if one.text.endswith("</step>\n")]
    assert STEP in [one.text for one in stopped]
    for one in stopped:
        assert one.finish_reason == "stop"
        assert one.text == tokenizer.decode(one.token_ids)
        assert "</step>\n" not in tokenizer.decode(one.token_ids[:-1])
        assert len(one.values) == len(one.logprobs) == len(one.token_ids)


def test_the_end_of_sequence_ends_a_completion(policy: Path, settings: Environment) -> None:
    _, tokenizer = load(policy)

    async def sample() -> Completion:
        async with serving(policy, settings) as engine:
            reply = await engine.complete(tokenizer.encode(PROMPT + STEP), n=1, temperature=0.0, max_tokens=200)
            return reply.completions[0]

    completion = asyncio.run(sample())
    assert completion.finish_reason == "stop"
    assert completion.token_ids[-1] == tokenizer.eos_token_id
    assert completion.text.endswith("</solution><|end|>")


def test_a_prefix_is_computed_once(policy: Path, settings: Environment) -> None:
    _, tokenizer = load(policy)
    prompt_ids = tokenizer.encode(PROMPT + STEP + STEP)

    async def ask_twice() -> list[int]:
        async with serving(policy, settings) as engine:
            replies = [await engine.complete(prompt_ids, n=3, temperature=0.7, max_tokens=4) for _ in range(2)]
            assert engine.usage.cached_tokens == sum(reply.usage.cached_tokens for reply in replies)
            assert re.fullmatch(r"\d+\.\d+\..*", await engine.version() or "")
            return [reply.usage.cached_tokens for reply in replies]

    assert asyncio.run(ask_twice())[1] >= 32


def test_a_prompt_may_fill_the_context_to_its_last_token_but_one(policy: Path, settings: Environment) -> None:
    async def ask() -> None:
        async with serving(policy, settings) as engine:
            assert engine.max_tokens == 512
            assert engine.token_budget > 100_000
            reply = await engine.complete([5] * 500, n=1, temperature=0.0, max_tokens=400, stop=["</solution>"])
            assert reply.usage.generated_tokens <= 12
            reply = await engine.complete([5] * 511, n=2, temperature=0.7, max_tokens=400)
            assert [len(one.token_ids) for one in reply.completions] == [1, 1]
            with pytest.raises(EngineError, match="no room in the engine's context of 512"):
                await engine.complete([5] * 512, n=1, temperature=0.0, max_tokens=4)
            assert engine.usage.failed_requests == 0

    asyncio.run(ask())


def test_weights_are_swapped_in_the_running_engine(policy: Path, other_policy: Path, settings: Environment) -> None:
    _, tokenizer = load(policy)
    prompt_ids = tokenizer.encode(PROMPT)

    async def greedy(folder: Path) -> Completion:
        async with serving(folder, settings) as engine:
            return (await engine.complete(prompt_ids, n=1, temperature=0.0, max_tokens=20)).completions[0]

    pids = set()
    for folder in (policy, other_policy, policy):
        completion = asyncio.run(greedy(folder))
        logprobs, values = references(folder, prompt_ids, completion)
        assert completion.logprobs == pytest.approx(logprobs, abs=1e-4)
        assert completion.values == pytest.approx(values, abs=1e-4)
        engine = local_engine(settings)
        assert engine is not None
        pids.add(engine.pid)
    assert len(pids) == 1


def test_another_process_attaches_to_the_running_engine(
    policy: Path, settings: Environment, running: LocalEngine
) -> None:
    """Also after one that was killed while it was served."""
    script = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom infra.engine import serving\n"
        "from infra.environment import Environment\n"
        "async def main():\n"
        "    settings = Environment(home=Path(sys.argv[2]), engine_urls=[], device='cpu')\n"
        "    async with serving(Path(sys.argv[1]), settings) as engine:\n"
        "        print(engine.addresses[0], await engine.values([[5, 6, 7]]), flush=True)\n"
        "        os.kill(os.getpid(), int(sys.argv[3]))\n"
        "asyncio.run(main())\n"
    )
    for signal_number in (signal.SIGKILL, 0):
        answer = subprocess.run(
            [sys.executable, "-c", script, str(policy), str(settings.home), str(int(signal_number))],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert answer.returncode == -signal_number, answer.stderr
        assert answer.stdout.startswith(running.url)
        assert local_engine(settings) == running


def test_two_flows_take_turns(policy: Path, other_policy: Path, settings: Environment) -> None:
    """Else one would swap the weights under the other's requests."""
    waited: list[str] = []
    order: list[str] = []

    async def serve(folder: Path, name: str, hold: float) -> None:
        async with serving(folder, settings, waited.append):
            order.append(f"{name} in")
            assert not stop_local_engines(settings)
            await asyncio.sleep(hold)
            order.append(f"{name} out")

    async def both() -> None:
        await asyncio.gather(serve(policy, "first", 1.0), serve(other_policy, "second", 0.0))

    asyncio.run(both())
    assert [entry.split()[1] for entry in order] == ["in", "out", "in", "out"]
    assert any("another flow" in message for message in waited)


def test_engines_of_somebody_else_must_pass_the_probe(
    policy: Path, other_policy: Path, settings: Environment, running: LocalEngine, tmp_path: Path
) -> None:
    async def serve(folder: Path, url: str) -> float:
        theirs = {"engine_urls": [url], "engine_key": SecretStr(running.key)}
        async with serving(folder, settings.model_copy(update=theirs)) as engine:
            return (await engine.values([[5, 6, 7]]))[0]

    assert asyncio.run(serve(policy, running.url)) != pytest.approx(asyncio.run(serve(other_policy, running.url)))
    with pytest.raises(WrongModel, match=r"differ .* by up to"):
        asyncio.run(serve(with_probe_of(policy, other_policy, tmp_path), running.url))
    with pytest.raises(EngineError, match="no vLLM engine answers"):
        asyncio.run(serve(policy, "http://127.0.0.1:9"))


def test_a_stranger_gets_nothing(settings: Environment, running: LocalEngine) -> None:
    """Neither a web page, which posts what it cannot read, nor another user; and the key is the owner's to read."""
    swap = '{"method": "reload_weights", "kwargs": {"weights_path": "/tmp"}}'
    page = {"Origin": "http://a-page.example", "Content-Type": "text/plain"}
    preflight = page | {"Access-Control-Request-Method": "POST"}
    guess = {"Authorization": "Bearer guessed"}
    with httpx.Client(base_url=running.url, trust_env=False) as stranger:
        replies = [
            stranger.post("/collective_rpc", content=swap, headers=page),
            stranger.post("/weight_checker", content='{"action": "reset"}', headers=page),
            stranger.post("/sleep", headers=guess),
            stranger.options("/collective_rpc", headers=preflight),
            *(stranger.get(path, headers=guess) for path in ("/v1/models", "/metrics", "/health", "/docs", "/")),
        ]
    assert {(answer.status_code, answer.content) for answer in replies} == {(401, b"")}
    assert not any("access-control-allow-origin" in answer.headers for answer in replies)
    assert httpx.get(f"{running.url}/v1/models", headers=bearer(running.key), trust_env=False).status_code == 200
    ((folder, known),) = engines_of(settings.home)
    assert {one.name for one in of_engine(folder, known)} == set(OF_ENGINE), "what the watch hands on for Prometheus"
    state = settings.home / "engine" / "engine.json"
    assert state.stat().st_mode & 0o077 == 0
    assert running.key in state.read_text()
    assert running.key not in (settings.home / "engine" / "engine.log").read_text()
    assert running.key not in " ".join(psutil.Process(running.pid).cmdline())
    doors = [
        door.laddr
        for process in [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        for door in process.net_connections("tcp")
        if door.status == psutil.CONN_LISTEN
    ]
    assert {door.ip for door in doors} == {"127.0.0.1"}
    assert httpx.URL(running.url).port in [door.port for door in doors]
    for door in doors:  # the others are of torch's process groups: they speak to nobody who does not speak as they do
        with socket.create_connection(door, timeout=0.2) as stranger_to_torch, suppress(TimeoutError):
            stranger_to_torch.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert stranger_to_torch.recv(100)[:12] in (b"", b"HTTP/1.1 401")
    assert asyncio.run(answers(running))


def test_weights_that_somebody_changes_meanwhile_are_noticed(
    policy: Path, other_policy: Path, settings: Environment, running: LocalEngine
) -> None:
    ours = settings.model_copy(update={"engine_urls": [running.url], "engine_key": SecretStr(running.key)})
    theirs = ours.model_copy(update={"home": settings.home / "another"})

    async def serve() -> None:
        async with serving(policy, ours), serving(other_policy, theirs):
            pass

    with pytest.raises(ModelChanged, match="somebody else changed its weights"):
        asyncio.run(serve())


def test_a_folder_whose_probe_is_of_another_model_is_refused(
    policy: Path, other_policy: Path, settings: Environment, running: LocalEngine, tmp_path: Path
) -> None:
    """After a swap and after a fresh start alike; the next model is served as if nothing had happened."""
    messages: list[str] = []

    async def serve(folder: Path) -> None:
        async with serving(folder, settings, messages.append):
            pass

    with pytest.raises(WrongModel, match=r"differ .* by up to \d"):
        asyncio.run(serve(with_probe_of(policy, other_policy, tmp_path)))
    fresh = local_engine(settings)
    assert fresh is not None
    assert fresh.pid != running.pid
    assert any("fresh engine" in message for message in messages)
    asyncio.run(serve(policy))
    assert local_engine(settings) == fresh


def test_an_engine_that_hangs_is_started_again(
    policy: Path, settings: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives, and its port is open: only that it does nothing tells."""
    monkeypatch.setattr("infra.engine.server.HANG_SECONDS", 6.0)
    monkeypatch.setattr("infra.engine.server.PULSE_SECONDS", 1.0)
    monkeypatch.setattr("infra.engine.server.ANSWER_SECONDS", 2.0)
    monkeypatch.setattr("infra.engine.server.STOP_SECONDS", 2.0)
    prompt_ids = load(policy)[1].encode(PROMPT)
    messages: list[str] = []

    async def stop_in_mid_request() -> list[Reply]:
        async with serving(policy, settings, messages.append) as engine:
            before = local_engine(settings)
            assert before is not None
            await asyncio.sleep(8.0)  # one that idles does not hang
            requests = [engine.complete(prompt_ids, n=8, temperature=2.0, max_tokens=200) for _ in range(8)]
            working = asyncio.gather(*requests)
            await asyncio.sleep(0.3)
            os.kill(before.pid, signal.SIGSTOP)
            replies = await working
            after = local_engine(settings)
            assert after is not None
            assert after.pid != before.pid
            assert not psutil.pid_exists(before.pid)
            return replies

    assert all(len(reply.completions) == 8 for reply in asyncio.run(stop_in_mid_request()))
    assert [message for message in messages if "died" in message] == [
        "the engine died (it hung: 6 s without a sign of life); starting it again, 1 of 3"
    ]


def test_a_killed_engine_is_started_again_while_its_requests_wait(policy: Path, settings: Environment) -> None:
    _, tokenizer = load(policy)
    prompt_ids = tokenizer.encode(PROMPT)
    processes: list[psutil.Process] = []
    messages: list[str] = []

    async def kill_in_mid_request() -> list[Reply]:
        async with serving(policy, settings, messages.append) as engine:
            before = local_engine(settings)
            assert before is not None
            processes.extend(psutil.Process(before.pid).children(recursive=True))
            requests = [
                asyncio.create_task(engine.complete(prompt_ids, n=8, temperature=2.0, max_tokens=200, session=str(i)))
                for i in range(32)
            ]
            await asyncio.sleep(0.5)
            assert not any(request.done() for request in requests)
            os.kill(before.pid, signal.SIGKILL)
            replies = await asyncio.gather(*requests)
            after = local_engine(settings)
            assert after is not None
            assert (after.url, after.key, after.signature) == (before.url, before.key, before.signature)
            assert after.pid != before.pid
            processes.extend(psutil.Process(after.pid).children(recursive=True))
            assert engine.usage.requests - engine.usage.failed_requests == len(replies)
            return replies

    replies = asyncio.run(kill_in_mid_request())
    assert any("died" in message and "1 of 3" in message for message in messages)
    assert all(len(reply.completions) == 8 for reply in replies)
    assert sum(reply.usage.requests > 1 for reply in replies) > 8
    completion = replies[0].completions[0]
    logprobs, values = references(policy, prompt_ids, completion)
    assert completion.logprobs == pytest.approx(logprobs, abs=1e-4)
    assert completion.values == pytest.approx(values, abs=1e-4)
    assert stop_local_engines(settings)
    assert len(processes) >= 2  # a core each
    assert not any(process.is_running() for process in processes)


def test_an_engine_that_can_not_start_says_why(policy: Path, settings: Environment, tmp_path: Path) -> None:
    broken = shutil.copytree(policy, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"these are no weights")

    async def serve(folder: Path, here: Environment) -> None:
        async with serving(folder, here):
            pass

    with pytest.raises(EngineError, match=r"did not start with .*broken.*Error.*engine\.log"):
        asyncio.run(serve(broken, settings))
    assert local_engine(settings) is None
    with pytest.raises(EngineError, match="CPL_ENGINE_PYTHON"):
        asyncio.run(serve(policy, settings.model_copy(update={"engine_python": tmp_path / "python"})))


def with_probe_of(policy: Path, other: Path, folder: Path) -> Path:
    """A copy of the policy that claims to be the other one."""
    mixed = shutil.copytree(policy, folder / "mixed")
    shutil.copy(other / "probe.json", mixed / "probe.json")
    assert ModelFolder.read(mixed).signature == ModelFolder.read(other).signature
    return mixed
