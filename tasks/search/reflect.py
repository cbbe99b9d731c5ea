"""Sampling with self-reflection: while nothing is right, reflect on what failed and plan again (LEPA's Algorithm 1,
methods.md 4.1).

    n trajectories, as plain sampling;  while none of them is right and trials are left:
        reflection ~ policy(question, failed plan and solution, the right answer)
        plan       ~ policy(all of this, reflection)        the hint: what the engine sees, and no state holds
        solution   ~ policy(question, plan)                 neither the answer nor the reflection

STaR (4.4) shows the answer and asks for a correction: no reflection is asked for, and the plan is written under the
failed attempt and its verdict alone (`told_ids`).

LEPA draws one trajectory first, and reflects four times at most. What is reflected on is the last wrong end under a
hint, or the first one without: a solution where there is one, else what has no answer of the format, for that is wrong,
too. What can not be decided was not wrong, and of steps that are too deep there is nothing to be shown. A plan that
states the answer ends there, without a reward (`tasks.search.grow`).
"""

from collections.abc import Sequence

from tasks.language.format import REFLECTION_CLOSE, Kind, Origin, desired, verdict
from tasks.search.method import Ask, Draw, Hint
from tasks.search.sampling import Sampling
from tasks.search.tree import Child, Node, Tree


class Reflect(Sampling):
    """`trials`: in all, the `n` trajectories are the first. `gold`: the answer that a verdict tells. `told_ids`: those
    of that verdict, up to where a new plan begins; None: a reflection comes before the plan."""

    def __init__(self, tree: Tree, *, n: int, trials: int, gold: str, told_ids: tuple[int, ...] | None = None) -> None:
        super().__init__(tree, n=n)
        self.trials_left = trials - 1
        self.gold = gold
        self.verdict = verdict(gold)
        self.told_ids = told_ids
        self.out = 0

    def ask(self) -> Ask | None:
        is_over = self.out or self.to_ask or not self.trials_left or self.tree.right
        if not is_over and (failed := self._failed()):
            self.trials_left -= 1
            if self.told_ids is None:
                self.to_ask.append((failed, Draw(1, start=self.verdict, reflects=True)))
            else:
                self._plan_again(failed, desired(self.gold), self.told_ids)
        if (ask := super().ask()) is not None:
            self.out += 1
        return ask

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        self.out -= 1
        if not ask.draws[0].reflects:
            super().take(ask, children)
            return
        (reflection,) = children
        told = reflection.text.removeprefix(self.verdict).partition(REFLECTION_CLOSE)[0]
        self._plan_again(ask.node, told, reflection.token_ids)

    def close(self, ask: Ask) -> None:
        """Where reflection or hint fill the context, the trials are over, and the state may have room."""
        self.out -= 1
        (draw,) = ask.draws
        if draw.reflects or draw.hint is not None:
            self.trials_left = 0
        else:
            super().close(ask)

    def _plan_again(self, failed: Node, told: str, token_ids: Sequence[int]) -> None:
        """Asks for a plan under the failed attempt and what was said of it."""
        hint = Hint(told, (*self.tree.state_ids(failed), *token_ids))
        self.to_ask.append((self.tree.root, Draw(1, Origin.HINT, hint=hint)))

    def _failed(self) -> Node | None:
        """The end of the trajectory to reflect on."""
        wrong = [node for node in self.tree.nodes if node.action.reward == -1.0 and node.action.text]
        hinted = [node for node in wrong if node.action.origin is Origin.HINT]
        first = min(wrong, key=lambda node: node.action.kind is not Kind.SOLUTION, default=None)
        return next(reversed(hinted), first)
