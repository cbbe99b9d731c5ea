"""An allowance of samples that questions share: what the easy ones leave goes to those whose first samples disagree.

Of *samples* a question, half are drawn for each. When all have told whether theirs disagree, what is left is divided
among those that do, in equal shares (in the spirit of Adaptive-Consistency, 2305.11860, which stops one question after
the other).
"""

import asyncio

MOST = 4
"""Times its own samples that one question gets in all: of few that disagree, each would get hundreds."""


class Allowance:
    """Of `asked` answers that are yet to come, `samples` each. `before`: the samples that earlier answers, which are
    kept, left to the others."""

    def __init__(self, samples: int, asked: int, before: int = 0) -> None:
        self.samples = samples
        self.first = samples // 2
        self.waiting = asked
        self.left = (samples - self.first) * asked + before
        self.split = 0
        self.share: int | None = None
        self.over = 0
        self.told = asyncio.Event()

    def come(self, disagree: bool) -> None:
        """One answer has its first samples, or failed: that counts as disagreeing, for it will be tried again. When the
        last has come, the share is known."""
        if self.share is None:
            self.waiting -= 1
            self.split += disagree
            if self.waiting <= 0:
                most = MOST * self.samples - self.first
                self.share = min(max(self.left, 0) // max(self.split, 1), most)
                self.over = self.left - self.share * self.split if self.share < most else 0
                self.told.set()

    async def more(self, disagree: bool) -> int:
        """Comes, waits until all have, and says how many further samples this answer gets."""
        self.come(disagree)
        await self.told.wait()
        if not disagree:
            return 0
        self.over -= 1
        return (self.share or 0) + (self.over >= 0)
