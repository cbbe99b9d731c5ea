"""Where a round is, by its calls of the store, and the moment at which one of them is held."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.chaos.cells import Moment, Pace, Slot
from tests.chaos.proxy import Call


@dataclass
class Stages:
    """Where a round is, by the store's calls, which the proxy tells. One fault at a time is armed. All times are by the
    monotonic clock; a stage is known by its name and its key."""

    keys: dict[str, list[str]] = field(default_factory=dict)
    """By name of a stage the keys that the round looked for, in the order in which it first did."""
    begun: dict[tuple[str, str], float] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a stage was last found or committed."""
    new: float = 0.0
    """When a stage was last looked for that had not been before."""
    of_shards: frozenset[int] = frozenset()
    """Which searches are shards: the round looks for these first, and they begin when their own run does."""
    waiting: dict[Slot, threading.Event] = field(default_factory=dict)
    """Slots that a fault will hit: their stages do not begin before it is armed."""
    slot: Slot | None = None
    moment: Moment | None = None
    """What is armed; None: nothing."""
    has_victim: Callable[[], bool] = lambda: True
    calls: int = 0
    """Of the slot's stage, since the fault was armed."""
    times: list[float] = field(default_factory=list)
    """When each call of the round was made."""
    reached: threading.Event = field(default_factory=threading.Event)
    """The call of the moment is held."""
    release: threading.Event = field(default_factory=threading.Event)
    """It may go on."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, slots: Iterable[Slot], of_shards: Iterable[int] = ()) -> None:
        """A new round. `slots`: those that a fault will hit."""
        with self.lock:
            self.keys, self.begun, self.seen, self.times = {}, {}, {}, []
            self.slot = self.moment = None
            self.waiting = {slot: threading.Event() for slot in slots}
            self.of_shards = frozenset(of_shards)

    def key(self, slot: Slot) -> tuple[str, str] | None:
        keys = self.keys.get(slot.stage, [])
        return (slot.stage, keys[slot.number]) if slot.number < len(keys) else None

    def is_under_way(self, slot: Slot) -> bool:
        return (key := self.key(slot)) in self.begun and key not in self.seen

    def pace(self, slot: Slot) -> Pace:
        """What a stage took of a round that is over, and that nothing befell."""
        key = self.key(slot)
        assert key in self.seen, f"{slot} never ended"
        begun, ended = self.begun[key], self.seen[key]
        return Pace(max(sum(begun < at < ended for at in self.times), 1), ended - begun)

    def arm(self, slot: Slot, moment: Moment, has_victim: Callable[[], bool]) -> None:
        with self.lock:
            self.slot, self.moment, self.has_victim, self.calls = slot, moment, has_victim, 0
            self.reached, self.release = threading.Event(), threading.Event()
            self.waiting.pop(slot, threading.Event()).set()

    def disarm(self) -> None:
        with self.lock:
            self.moment = None
            self.release.set()

    def let_go(self) -> None:
        """Whatever still waits for a fault: the rest of the round is hit by none."""
        with self.lock:
            for gate in self.waiting.values():
                gate.set()
            self.waiting = {}

    def watch(self, call: Call) -> threading.Event | None:
        with self.lock:
            kind, _, rest = call.place.partition("/")
            stage, _, rest = rest.partition("/")
            key, _, name = rest.partition("/")
            if call.status:
                held = self._hold(is_after=True)
            gate = None
            if kind == "stages" and name == "manifest.json":
                gate = self._looked_for(call, stage, key)
            if call.status:
                return held
            if gate is not None:
                return gate
            self.times.append(time.monotonic())
            if self.slot is not None and self.is_under_way(self.slot):
                self.calls += 1
            return self._hold(is_after=False)

    def _looked_for(self, call: Call, stage: str, key: str) -> threading.Event | None:
        """Takes down where the round is; what it waits for, where a fault is to be armed first."""
        place = (stage, key)
        if call.status and call.status < 300 and call.method in ("GET", "PUT"):
            self.seen[place] = time.monotonic()
        elif not call.status and call.method == "GET":
            keys = self.keys.setdefault(stage, [])
            if key not in keys:
                keys.append(key)
                self.new = time.monotonic()
                if stage != "search" or len(keys) - 1 not in self.of_shards:
                    self.begun[place] = time.monotonic()
            else:
                self.begun.setdefault(place, time.monotonic())
            begins = (slot for slot in self.waiting if self.key(slot) == place and place in self.begun)
            return next((self.waiting[slot] for slot in begins), None)
        return None

    def _hold(self, is_after: bool) -> threading.Event | None:
        moment = self.moment
        if (
            moment is None
            or moment.call is None
            or self.reached.is_set()
            or self.slot is None
            or not self.is_under_way(self.slot)
            or self.calls < moment.call
            or is_after != moment.is_after
            or not self.has_victim()
        ):
            return None
        self.reached.set()
        return self.release
