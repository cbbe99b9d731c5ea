"""What a search method is: a pure machine that says what to ask the policy next, and takes in what it answered.

One asynchronous driver (`tasks.search.grow`) runs them all. A method may have several asks out at a time; it is never
told how long anything took.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tasks.language.format import ACTION_STOP, PLAN_CLOSE, REFLECTION_CLOSE, SOLUTION_CLOSE, STEP_CLOSE, Origin
from tasks.search.tree import Child, Node, Tree


@dataclass(frozen=True, slots=True)
class Hint:
    """What the engine sees in the question's place, and no state holds: a failed attempt, its verdict and a reflection.

    `text`: the reflection alone; the verdict, where none was asked for. `prompt_ids`: all of it, up to where a new plan
    begins.
    """

    text: str
    prompt_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """`n` samples of one state.

    `start`: what the factory writes first and the policy continues. `to_the_end`: not one action but the rest of the
    trajectory, up to the end of its solution: a simulation in the sense of MCTS, of which only the reward is kept.
    `reflects`: not an action but a reflection on the trajectory that ended in this state; its token ids run on to where
    a new plan begins. `hint`: a step of that plan, one sample; where the plan ends, its solution, which sees no hint.
    """

    n: int
    origin: Origin = Origin.POLICY
    start: str = ""
    to_the_end: bool = False
    reflects: bool = False
    hint: Hint | None = None

    @property
    def stop(self) -> tuple[str, ...]:
        """What it is sampled up to."""
        if self.reflects:
            return (REFLECTION_CLOSE,)
        if self.hint is not None:
            return (STEP_CLOSE, PLAN_CLOSE)
        return (SOLUTION_CLOSE,) if self.to_the_end else ACTION_STOP


@dataclass(frozen=True, slots=True)
class Ask:
    """What the policy is asked about one node of one tree."""

    tree: Tree
    node: Node
    draws: tuple[Draw, ...]


Backup = Literal["values", "trajectories", "rollouts"]
"""What a search backs up: V of an expanded node and the rewards of its terminals; the rewards of whole trajectories,
which are all nodes; or those of simulations that are no nodes. What the tables mean depends on it."""


class Method(Protocol):
    """One question's search. `trees`: what it has grown; the last one is what it works on. `backup`: of which kind."""

    trees: list[Tree]
    backup: Backup

    def ask(self) -> Ask | None:
        """What to ask next; None when it is done, or has to wait for what is out."""

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        """Takes in the judged answers to all draws of an ask. An undecided one is closed: it backs up nothing."""

    def close(self, ask: Ask) -> None:
        """Takes in that the state of an ask fills the policy's context: its branch is closed, and backs up nothing."""

    @property
    def state(self) -> str:
        """How it ended, as table `trees` says it."""
