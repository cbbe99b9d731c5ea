"""The micro world (tasks/micro): its questions are fair, its splits are apart, its corpus says what it promises."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.micro import corpus, world
from tasks.micro.words import FAMILIAR, UNSEEN

BASE = Path(world.__file__).parent / "base"
COUNT = 300

_CALCULATION = re.compile(r"(\d+)\. (\d+) ([-+*/]) (\d+) = (\d+)")
_MOVES: dict[str, Callable[..., float]] = {
    r"add the (\d+) new \w+": lambda now, k: now + k,
    r"add (\d+) times (\d+) \w+": lambda now, m, k: now + m * k,
    r"subtract the (\d+) lost \w+": lambda now, k: now - k,
    r"multiply the \w+ by (\d+)": lambda now, k: now * k,
    r"divide the \w+ by (\d+)": lambda now, k: now / k,
    r"add (\d+) to get from \w+ to \w+": lambda now, k: now + k,
    r"subtract (\d+) to get from \w+ to \w+": lambda now, k: now - k,
    r"multiply by (\d+) to get from \w+ to \w+": lambda now, k: now * k,
    r"divide by (\d+) to get from \w+ to \w+": lambda now, k: now / k,
}


def follow(start: int, plan: list[str]) -> float:
    """Reads a plan as a person would, with no code of the world."""
    now: float = start
    for step in plan:
        [(match, move)] = [(m, move) for p, move in _MOVES.items() if (m := re.fullmatch(p, step))]
        now = move(now, *map(int, match.groups()))
    return now


@pytest.fixture(scope="module")
def problems() -> dict[str, list[world.Problem]]:
    return {split: world.generate(split, COUNT, seed=3) for split in world.SPLITS}


def test_the_same_seed_gives_the_same_questions_and_a_larger_count_extends_them() -> None:
    first = world.generate("train", 40, seed=5)
    assert world.generate("train", 40, seed=5) == first
    assert world.generate("train", 60, seed=5)[:40] == first
    assert world.generate("train", 40, seed=6) != first


def test_an_unknown_split_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ValueError, match=r"unknown micro split 'dev'.*validation"):
        world.generate("dev", 1, seed=0)


def test_no_question_is_in_two_splits(problems: dict[str, list[world.Problem]]) -> None:
    texts = {split: {p.question for p in chosen} for split, chosen in problems.items()}
    assert all(len(chosen) == COUNT for chosen in texts.values())
    for one, other in itertools.combinations(world.SPLITS, 2):
        assert not texts[one] & texts[other]


def test_splits_are_apart_by_digest_or_by_structure() -> None:
    """For any seed and count: two splits that share digests differ in length, in words or in kinds that meet."""
    apart = {"pretrain", *world.IN_DOMAIN}
    for place in range(2000):
        homes = world.split_of(f"question {place}")
        assert len(homes & apart) == 1
        assert "pretrain" not in homes or homes == {"pretrain"}


def test_out_of_domain_splits_have_what_post_training_never_shows(problems: dict[str, list[world.Problem]]) -> None:
    for split, chosen in problems.items():
        for problem in chosen:
            meets = any(pair <= set(problem.kinds) for pair in world.UNSEEN_PAIRS)
            words = set(re.findall(r"\w+", problem.question))
            if split != "pretrain":
                assert meets == (split == "combinations")
                assert problem.level in ((4, 5) if split == "longer" else (1, 2, 3))
                assert bool(words & set(UNSEEN.names + UNSEEN.things)) == (split == "phrasing")
                assert bool(words & set(FAMILIAR.names + FAMILIAR.things)) == (split != "phrasing")


def test_the_gold_plan_leads_to_the_answer_when_followed_by_hand(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        assert follow(problem.start, problem.plan) == int(problem.answer)
        assert len(problem.plan) == len(problem.kinds) == problem.level
        assert str(problem.start) in re.findall(r"\d+", problem.question)


def test_gold_solutions_calculate_correctly_line_by_line(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        for number, line in enumerate(problem.solution, 1):
            match = _CALCULATION.fullmatch(line)
            assert match
            assert int(match[1]) == number
            a, b, result = int(match[2]), int(match[4]), int(match[5])
            assert {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[match[3]] == result
            assert 0 <= result <= world.LARGEST
        assert result == int(problem.answer)


def test_an_answer_in_a_plan_is_always_a_leak(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        assert 6 <= int(problem.answer) <= 30
        assert problem.answer not in re.findall(r"\d+", problem.question + " ".join(problem.plan))


def test_a_wrong_plan_never_reaches_the_answer(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        options = [[s.right, s.wrong] if s.wrong else [s.right] for s in problem.steps]
        right, *wrong = itertools.product(*options)
        assert [move.text for move in right] == problem.plan
        for moves in wrong:
            assert follow(problem.start, [move.text for move in moves]) != int(problem.answer)


def test_every_kind_stands_alone_somewhere_so_that_it_can_be_measured(problems: dict[str, list[world.Problem]]) -> None:
    for split in (*world.IN_DOMAIN, "phrasing"):
        assert {p.kinds[0] for p in problems[split] if p.level == 1} == set(world.KINDS)


def test_the_splits_are_large_enough() -> None:
    assert len({p.question for p in world.generate("train", 5000, seed=0)}) == 5000
    for split in ("test", *world.OUT_OF_DOMAIN):
        assert len({p.question for p in world.generate(split, 500, seed=0)}) == 500


def test_hard_clauses_come_in_pairs_whose_wrong_step_is_the_right_step_of_the_other(
    problems: dict[str, list[world.Problem]],
) -> None:
    shape = {}
    for step in itertools.chain.from_iterable(p.steps for p in problems["train"]):
        if step.wrong:
            shape[step.kind] = tuple(re.sub(r"\d+|\w+ to \w+$|\w+$", "_", m.text) for m in (step.right, step.wrong))
    assert set(shape) == set(world.HARD_KINDS)
    twins = [("add_back", "sub_back"), ("mul_back", "div_back"), ("add_groups", "add_priced")]
    for one, other in twins:
        assert shape[one] == shape[other][::-1]


def test_texts_are_attempts_that_follow_their_plan_and_some_go_on_with_a_reflection() -> None:
    wrong = reflected = 0
    for problem, text in zip(world.generate("pretrain", COUNT, 1), corpus.texts(COUNT, 1), strict=True):
        attempt, _, reflection = text.partition("\n<verdict>\n")
        assert attempt.startswith(f"<question>\n{problem.question}\n</question>\n<plan>\n<step>\nPlan 1: ")
        [answer] = re.findall(r"The final answer is \\boxed\{(\d+)\}\.\n</solution>$", attempt)
        assert follow(problem.start, re.findall(r"Plan \d+: (.*)", attempt)) == int(answer)
        wrong += answer != problem.answer
        if reflection:
            reflected += 1
            assert answer != problem.answer
            verdict, _, rest = reflection.partition("\n</verdict>\n<reflection>\n")
            assert verdict == f"The answer is wrong. The desired correct final answer is {problem.answer}."
            assert problem.answer not in re.findall(r"\d+", rest)
            [named] = map(int, re.findall(r"^Plan (\d+) is wrong: ", rest))
            new_plan = re.findall(r"\nPlan \d+: (.*)", rest)
            assert new_plan[named - 1] == problem.plan[named - 1]
            assert text.endswith("</step>\n</plan>\n")
    assert 0.2 < wrong / COUNT < 0.7
    assert 0.3 < reflected / wrong < 0.7


def test_the_base_is_small_safe_and_untied() -> None:
    files = {file.name: file.stat().st_size for file in BASE.iterdir()}
    assert set(files) == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(files.values()) <= 4_000_000
    config = json.loads((BASE / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["tie_word_embeddings"] is False
