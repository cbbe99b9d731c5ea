"""Random histories of a store on a real server: crashes, losses, races, stale reads and garbage collection.

Whatever happened, a stage that is found is whole and says what its committer wrote; and what was lost is found lost.
"""

import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from infra.environment import Environment
from infra.store import Ref, Store, garbage
from infra.store.bucket import sha256
from infra.store.garbage import Unreadable, drop, leftovers
from infra.store.verify import faults
from tests.stages import manifest

KEYS = st.sampled_from(["a", "b", "c"])
PAYLOADS = st.sampled_from([b"one", b"two", b"three"])


class Histories(RuleBasedStateMachine):
    """`committed` are the payloads of the stages that exist; `broken` of those the ones that lost something."""

    home: Path

    @initialize()
    def open(self) -> None:
        self.store = Store.open(Environment(home=self.home, store=f"s3://cpl/{uuid.uuid4()}"))
        self.committed: dict[str, tuple[Ref, bytes]] = {}
        self.broken: set[str] = set()
        self.pointer: set[int] = set()

    @rule(key=KEYS, payload=PAYLOADS)
    def make(self, key: str, payload: bytes) -> None:
        """A stage that runs to its end: it finds its stage, or commits one."""
        item = self.store.add("trees", payload)
        self._heal(payload)
        ref = self.store.commit(manifest("search", key, [item]))
        if key in self.committed and key not in self.broken:
            assert ref == self.committed[key][0], "the first one counts"
        else:
            self.committed[key] = (ref, payload)
            self.broken.discard(key)

    @rule(payload=PAYLOADS)
    def crash_before_the_manifest(self, payload: bytes) -> None:
        self.store.add("trees", payload)
        self._heal(payload)

    @rule(payload=PAYLOADS)
    def lose(self, payload: bytes) -> None:
        self.store.delete([f"objects/{sha256(payload)}"])
        self.broken |= {key for key, (_, of_key) in self.committed.items() if of_key == payload}

    @rule(key=KEYS)
    def tear(self, key: str) -> None:
        if key in self.committed:
            name = f"{self.store.prefix}stages/search/{key}/manifest.json"
            self.store.client.put_object(Bucket=self.store.bucket, Key=name, Body=b'{"step')
            self.broken.add(key)
            self.committed[key] = (self.committed[key][0], b"torn")

    @rule(key=KEYS, payload=PAYLOADS)
    def commit_on_a_stale_read(self, key: str, payload: bytes) -> None:
        """The committer does not see a manifest that is there: the condition keeps it from being overwritten."""
        if key not in self.committed or key in self.broken:
            return
        read, shown = self.store.read, iter([(None, {"IfNoneMatch": "*"})])
        self.store.read = lambda name: next(shown, None) or read(name)  # type: ignore[method-assign]
        try:
            self.make(key, payload)
        finally:
            self.store.read = read  # type: ignore[method-assign]

    @rule()
    def collect_garbage(self) -> None:
        is_torn = b"torn" in [payload for _, payload in self.committed.values()]
        with pytest.raises(Unreadable) if is_torn else nullcontext():
            drop(self.store, leftovers(self.store, self.home))

    @rule(number=st.integers(0, 9))
    def swap(self, number: int) -> None:
        self.pointer.add(number)
        self.store.swap("latest", lambda now: bytes(sorted({*(now or b""), number})))

    @invariant()
    def what_is_found_is_whole_and_what_was_lost_is_not_found(self) -> None:
        for key in ("a", "b", "c"):
            found = self.store.find(f"stages/search/{key}")
            if key in self.committed and key not in self.broken:
                ref, payload = self.committed[key]
                assert found == ref
                assert self.store.fetch(ref, "trees").read_bytes() == payload
            else:
                assert found is None
        assert len(list(faults(self.store))) >= bool(self.broken)
        assert bool(self.broken) or not list(faults(self.store, deep=True))
        if self.pointer:
            assert set(self.store.get("latest")) == self.pointer

    def _heal(self, payload: bytes) -> None:
        """An object that is written again is there again for all stages that name it."""
        self.broken -= {key for key, (_, of_key) in self.committed.items() if of_key == payload}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(garbage, "AT_WORK", timedelta(seconds=-5))
        yield


@pytest.mark.integration
def test_no_history_shows_half_a_stage(store: Store, tmp_path: Path, at_once: None) -> None:
    class Here(Histories):
        home = tmp_path / "home"

    checks: dict[str, Any] = {"max_examples": 12, "stateful_step_count": 15, "deadline": None, "database": None}
    run_state_machine_as_test(Here, settings=settings(**checks, suppress_health_check=list(HealthCheck)))
