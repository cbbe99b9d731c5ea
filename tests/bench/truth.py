"""What a plan of the micro world is worth: the chance that who goes on by the base's habits comes to the answer.

The habits (`tasks.micro.habits`) are a Markov chain, so this is calculated and has no error of sampling. It is the
corpus's truth, which the base learnt imperfectly.
"""

from functools import cache

from tasks.micro.habits import Place, options
from tasks.micro.world import Problem, calculate


class Truth:
    """The worth of every plan for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._chance = cache(self._chance_from)
        self.chance = cache(self._chance_of)

    def _chance_of(self, plan: tuple[str, ...]) -> float | None:
        """Of a plan's beginning, the texts of its steps; None where the habits never plan so."""
        places = {Place(): 1.0}
        now = self.problem.start
        for text in plan:
            after: dict[Place, float] = {}
            for place, weight in places.items():
                for option in options(self.problem.steps, place):
                    if option.move is not None and option.move.text == text:
                        after[option.after] = after.get(option.after, 0.0) + weight * option.share
                        move = option.move
            if not after:
                return None
            places, now = after, calculate(now, [move]).result
        return sum(weight * self._chance(place, now) for place, weight in places.items()) / sum(places.values())

    def _chance_from(self, place: Place, now: int) -> float:
        return sum(
            option.share
            * (
                float(str(now) == self.problem.answer)
                if option.move is None
                else self._chance(option.after, calculate(now, [option.move]).result)
            )
            for option in options(self.problem.steps, place)
        )
