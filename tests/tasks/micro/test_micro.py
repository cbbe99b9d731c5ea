"""The micro world (tasks/micro): its questions are fair, its splits are apart, its corpus says what it promises."""

import itertools
import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tasks.micro import corpus, habits, world
from tasks.micro.habits import Place
from tasks.micro.words import FAMILIAR, UNSEEN
from tasks.micro.world import Move

BASE = Path(world.__file__).parent / "base"
COUNT = 300
BEGINNING = Place()

_CALCULATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)(| \((?:rounded|full|none left)\))")
_VERB = "(add|subtract|multiply|divide)(?: by)?"
_MOVES = (
    rf"{_VERB} the (\d+) (?:new|lost) \w+",
    rf"{_VERB} the \w+ by (\d+)",
    rf"{_VERB} (\d+) times (\d+) \w+",
    rf"{_VERB} (\d+) to get from \w+ to \w+",
    rf"begin to .*: {_VERB} (\d+)",
    rf"then {_VERB} the other (\d+)",
    rf"to mend it, {_VERB} (\d+) times (\d+)",
)


def follow(start: int, plan: Iterable[str]) -> int:
    """Reads a plan as a person would, with no code of the world."""
    now = start
    for step in plan:
        [match] = filter(None, (re.fullmatch(pattern, step) for pattern in _MOVES))
        verb, operand = match[1], math.prod(map(int, match.groups()[1:]))
        moved = {"add": now + operand, "subtract": now - operand, "multiply": now * operand, "divide": now // operand}
        now = min(max(moved[verb], 0), 60)
    return now


_BOTH = (FAMILIAR, UNSEEN)
_NAME, _THING = ("|".join(one for words in _BOTH for one in getattr(words, what)) for what in ("names", "things"))
_PLACES = {"h": _NAME, "x": _NAME, "o": _THING, "n": r"\d+", "k": r"\d+", "m": r"\d+"}


def said_by(template: str) -> re.Pattern[str]:
    """What fits a template of words.py, its places by name."""
    seen: set[str] = set()

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{_PLACES[name]})"

    return re.compile(re.sub(r"\\\{(\w)\\\}", place, re.escape(template)))


_STARTS = [said_by(template) for words in _BOTH for template in words.starts]
_ENDS = [said_by(template) for words in _BOTH for template in words.questions]
_DISTRACTORS = [said_by(template) for words in _BOTH for template in words.distractors]
_CLAUSES = [(kind, said_by(one)) for words in _BOTH for kind, templates in words.clauses.items() for one in templates]
_MEANS: dict[str, Callable[[float, int, int], float]] = {
    "add": lambda now, k, m: now + k,
    "sub": lambda now, k, m: now - k,
    "mul": lambda now, k, m: now * k,
    "div": lambda now, k, m: now / k,
    "add_back": lambda now, k, m: now + k,
    "sub_back": lambda now, k, m: now - k,
    "mul_back": lambda now, k, m: now * k,
    "div_back": lambda now, k, m: now / k,
    "add_groups": lambda now, k, m: now + m * k,
    "add_priced": lambda now, k, m: now + k,
}


def understood(question: str) -> float:
    """Reads a question sentence by sentence, with no code of the world: how many things whom it asks about has."""
    first, *sentences, last = re.split(r"(?<=[.?]) ", question)
    [(holder, number, thing)] = [match.group("h", "n", "o") for one in _STARTS if (match := one.fullmatch(first))]
    now = float(number)
    for sentence in sentences:
        read = [(kind, match.groupdict()) for kind, one in _CLAUSES if (match := one.fullmatch(sentence))]
        if read:  # "For each one of Kurt there are 2 of Nina" says one of two things, by who has them
            [(kind, said)] = [(kind, said) for kind, said in read if said.get("h", holder) == holder]
            assert said.get("o", thing) == thing
            now = _MEANS[kind](now, int(said["k"]), int(said.get("m", 1)))
            holder = said["x"] if kind.endswith("_back") else holder
        else:
            [distractor] = filter(None, (one.fullmatch(sentence) for one in _DISTRACTORS))
            assert distractor.groupdict().get("o") != thing
    [asked] = [match.group("h", "o") for one in _ENDS if (match := one.fullmatch(last))]
    assert asked == (holder, thing)
    return now


def follow_moves(start: int, moves: Iterable[Move]) -> int:
    return follow(start, (move.text for move in moves))


def is_calculated(line: str) -> bool:
    """Whether it is true, or says what was lost."""
    match = _CALCULATION.fullmatch(line)
    assert match, line
    a, b, result = int(match[1]), int(match[3]), int(match[4])
    exact = {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[match[2]]
    note = " (full)" if exact > 60 else " (none left)" if exact < 0 else " (rounded)" if exact % 1 else ""
    return note == match[5] and result == min(max(int(exact), 0), 60)


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
                assert problem.level in ((5, 6) if split == "longer" else (2, 3, 4))
                assert bool(words & set(UNSEEN.names + UNSEEN.things)) == (split == "phrasing")
                assert bool(words & set(FAMILIAR.names + FAMILIAR.things)) == (split != "phrasing")


def test_splits_are_made_as_the_readme_says(problems: dict[str, list[world.Problem]]) -> None:
    def levels(*splits: str) -> list[float]:
        found = Counter(problem.level for split in splits for problem in problems[split])
        return [found[level] / found.total() for level in sorted(found)]

    assert levels(*world.IN_DOMAIN) == pytest.approx([0.37, 0.38, 0.25], abs=0.05)
    assert levels("longer") == pytest.approx([0.65, 0.35], abs=0.09)
    assert levels("combinations") == pytest.approx([0.11, 0.40, 0.49], abs=0.09)
    assert len(levels("pretrain")) == 6
    unseen = [any(name in problem.question for name in UNSEEN.names) for problem in problems["pretrain"]]
    assert sum(unseen) / len(unseen) == pytest.approx(0.25, abs=0.08)
    every = list(itertools.chain(*problems.values()))
    hard = [kind in world.HARD_KINDS for problem in every for kind in problem.kinds]
    assert sum(hard) / len(hard) == pytest.approx(0.6, abs=0.03)
    irrelevant = [len(re.findall(r"[.?](?: |$)", problem.question)) - problem.level - 2 for problem in every]
    assert set(irrelevant) == {0, 1}
    assert sum(irrelevant) / len(irrelevant) == pytest.approx(0.3, abs=0.04)


def test_the_gold_plan_leads_to_the_answer_when_followed_by_hand(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        assert follow(problem.start, problem.plan) == int(problem.answer)
        assert len(problem.plan) == len(problem.kinds) == problem.level
        assert str(problem.start) in re.findall(r"\d+", problem.question)


def test_a_question_says_what_its_answer_is(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        assert understood(problem.question) == int(problem.answer)


def test_gold_solutions_calculate_correctly_line_by_line_and_lose_nothing(
    problems: dict[str, list[world.Problem]],
) -> None:
    for problem in itertools.chain(*problems.values()):
        for number, line in enumerate(problem.solution, 1):
            assert line.startswith(f"{number}. ")
            assert is_calculated(line.partition(". ")[2])
            assert line[-1].isdigit()
        assert line.endswith(f" = {problem.answer}")


def test_an_answer_in_a_plan_is_always_a_leak(problems: dict[str, list[world.Problem]]) -> None:
    for problem in itertools.chain(*problems.values()):
        assert 10 <= int(problem.answer) <= 30
        moves = [move.text for step in problem.steps for way in step.ways for move in way]
        assert problem.answer not in re.findall(r"\d+", " ".join([problem.question, *moves]))


def test_every_way_leads_where_the_right_move_leads(problems: dict[str, list[world.Problem]]) -> None:
    detours = 0
    for step in itertools.chain.from_iterable(p.steps for p in problems["train"]):
        for start in (24, 36):  # nothing is rounded or cut off from here, but by a division by 9 or 16
            right = world.calculate(start, [step.right])
            wrong = world.calculate(start, [step.wrong])
            mended = world.calculate(start, [step.wrong, step.mend])
            assert right.result == follow_moves(start, [step.right])
            assert wrong.result == follow_moves(start, [step.wrong])
            if right.is_exact and wrong.is_exact:
                assert wrong.result != right.result
            if right.is_exact and mended.is_exact:
                assert right.result == mended.result == follow_moves(start, [step.wrong, step.mend])
            if step.detour:
                detours += 1
                in_parts = world.calculate(start, step.detour)
                assert in_parts[1:] == right[1:]
                assert in_parts.result == follow_moves(start, step.detour)
                assert len(step.detour) > 1
    assert detours


def test_a_mistake_is_mended_later_where_the_order_does_not_matter(problems: dict[str, list[world.Problem]]) -> None:
    mended = 0
    for one, other in itertools.pairwise(itertools.chain.from_iterable(p.steps for p in problems["train"])):
        if one.is_addition == other.is_addition:
            gold = world.calculate(36, [one.right, other.right])
            late = world.calculate(36, [one.wrong, other.right, one.mend])
            if gold.is_exact and late.is_exact:
                mended += 1
                assert gold.result == late.result
    assert mended > 50


def test_what_is_lost_is_said_and_does_not_come_back() -> None:
    third = Move("divide the pens by 3", "/", 3)
    assert world.calculate(20, [third]) == (["20 / 3 = 6 (rounded)"], 6, False)
    assert world.calculate(20, [third, Move("multiply the pens by 3", "*", 3)])[1:] == (18, False)
    assert world.calculate(5, [Move("subtract the 9 lost pens", "-", 9)]) == (["5 - 9 = 0 (none left)"], 0, False)
    assert world.calculate(50, [Move("add 3 times 5 pens", "+", 5, factor=3)]).lines == [
        "3 * 5 = 15",
        "50 + 15 = 60 (full)",
    ]


def test_every_kind_is_somewhere_in_every_split(problems: dict[str, list[world.Problem]]) -> None:
    for chosen in problems.values():
        assert {kind for problem in chosen for kind in problem.kinds} == set(world.KINDS)


def test_a_question_that_is_drawn_again_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, third = world.generate("train", 3, seed=0)
    drawn = iter([one, other, one, None, other, third])
    monkeypatch.setattr(world, "_problem", lambda *_: next(drawn))
    assert world.generate("train", 3, seed=0) == [one, other, third]


def test_kinds_come_in_pairs_whose_wrong_move_is_the_right_move_of_the_other(
    problems: dict[str, list[world.Problem]],
) -> None:
    shape = {}
    for step in itertools.chain.from_iterable(p.steps for p in problems["train"]):
        right, wrong = (
            re.sub(r"\d+|\w+ to \w+$|(?<=multiply the )\w+|(?<=divide the )\w+|\w+$", "_", move.text)
            for move in (step.right, step.wrong)
        )
        shape[step.kind] = (right, wrong)
    assert set(shape) == set(world.KINDS) == set(world.TWINS)
    for one, other in world.TWINS.items():
        assert shape[one] == shape[other][::-1]


def test_a_reason_says_what_became_more_or_less_and_whose(problems: dict[str, list[world.Problem]]) -> None:
    for step in itertools.chain.from_iterable(p.steps for p in problems["train"]):
        said = set(re.findall(r"\w+", step.reason))
        if step.kind in ("add_groups", "add_priced"):
            assert said & {"groups", "Prices"}
            continue
        grows = world.calculate(24, [step.right]).result > 24
        assert bool(said & {"new", "more"}) == grows
        assert bool(said & {"lost", "fewer", "less"}) == (not grows)
        if step.kind.endswith("_back"):
            assert step.reason.split()[0] == step.right.text.split()[-1]


def places(steps: Sequence[world.Step]) -> Iterator[Place]:
    """Every place that a plan can come to."""
    seen, ahead = set[Place](), [BEGINNING]
    while ahead:
        place = ahead.pop()
        if place not in seen:
            seen.add(place)
            yield place
            ahead += [option.after for option in habits.options(steps, place) if option.move]


def test_the_shares_of_what_may_come_next_sum_to_one(problems: dict[str, list[world.Problem]]) -> None:
    for problem in problems["validation"][:50]:
        for place in places(problem.steps):
            for care in (0.0, 0.4, 1.0):
                chosen = habits.options(problem.steps, place, lambda clause, care=care: care)  # type: ignore[misc]
                assert sum(option.share for option in chosen) == pytest.approx(1.0)
                assert all(0.0 <= option.share <= 1.0 for option in chosen)


def test_nothing_is_mended_across_an_operation_of_the_other_sort(problems: dict[str, list[world.Problem]]) -> None:
    for problem in problems["validation"][:100]:
        for place in places(problem.steps):
            if place.owed is not None and not place.fresh:
                between = problem.steps[place.owed + 1 : place.clause + bool(place.part)]
                assert all(step.is_addition == problem.steps[place.owed].is_addition for step in between)


def test_no_plan_is_longer_than_numbers_that_no_answer_is(problems: dict[str, list[world.Problem]]) -> None:
    rng = random.Random(0)
    lengths = {len(habits.attempt(problem, rng)) for problem in problems["longer"] for _ in range(10)}
    assert max(lengths) == world.LONGEST_PLAN < min(world.ANSWERS)


def test_who_takes_care_is_always_right(problems: dict[str, list[world.Problem]]) -> None:
    for problem in problems["longer"]:
        moves = habits.attempt(problem, random.Random(0), lambda clause: 1.0)
        assert [move.text for _, move in moves] == problem.plan


def plans(steps: Sequence[world.Step], place: Place = BEGINNING) -> Iterator[tuple[float, list[tuple[int, Move]]]]:
    """Every way that habit goes on from a place, with its chance."""
    for option in habits.options(steps, place):
        if option.move is None:
            yield option.share, []
        else:
            for share, rest in plans(steps, option.after):
                yield option.share * share, [(option.clause, option.move), *rest]


def test_a_clause_is_done_or_mended_or_missed_as_often_as_its_habit_says(
    problems: dict[str, list[world.Problem]],
) -> None:
    for one, other in [problem.steps for problem in problems["pretrain"] if problem.level == 2]:
        habit, then = habits.HABITS[one.kind], habits.HABITS[other.kind]
        wrong = 1 - habit.right - habit.detour
        can_wait = (one.right.operator in "+-") == (other.right.operator in "+-")
        late = (1 - habit.mend) * (then.right + then.detour) * habit.mend if can_wait else 0.0
        found = defaultdict[tuple[Move, ...], float](float)
        at_once = 0.0
        for share, moves in plans((one, other)):
            found[tuple(move for clause, move in moves if clause == 0)] += share
            at_once += share * (moves[1:2] == [(0, one.mend)])
        assert at_once == pytest.approx(wrong * habit.mend)
        assert found[one.wrong, one.mend] == pytest.approx(wrong * (habit.mend + late))
        assert found[one.wrong,] == pytest.approx(wrong * (1 - habit.mend - late))
        assert found[one.right,] == pytest.approx(habit.right + (0.0 if one.detour else habit.detour))
        if one.detour:
            assert found[one.detour] == pytest.approx(habit.detour * habit.finish ** (len(one.detour) - 1))


def chance(problem: world.Problem, first: Move, place: Place) -> float:
    """Of the right answer, when habit goes on from a first move: exact."""
    return sum(
        share
        for share, rest in plans(problem.steps, place)
        if world.calculate(problem.start, [first, *(move for _, move in rest)]).result == int(problem.answer)
    )


def test_first_moves_differ_in_degrees_and_not_as_good_from_bad(problems: dict[str, list[world.Problem]]) -> None:
    """Between the best and the worst first move of a question lies every distance."""
    gaps = []
    for problem in problems["validation"][:100]:
        ahead = [chance(problem, o.move, o.after) for o in habits.options(problem.steps, BEGINNING) if o.move]
        gaps.append(2 * (max(ahead) - min(ahead)))
    shares = [sum(low <= gap < low + 0.4 for gap in gaps) / len(gaps) for low in (0.0, 0.4, 0.8, 1.2, 1.6)]
    assert all(share > 0.02 for share in shares[:4]), shares
    assert max(shares) < 0.6, shares


def test_a_favourite_is_right_for_some_kinds_and_wrong_for_others_by_degrees() -> None:
    assert set(habits.HABITS) == set(world.KINDS)
    wrong = sorted(1 - habit.right - habit.detour for habit in habits.HABITS.values())
    assert 0.05 < wrong[0] < 0.2
    assert 0.6 < wrong[-1] < 0.8
    assert all(more - less <= 0.2 for less, more in itertools.pairwise(wrong))


def test_some_wrong_plans_reach_the_answer(problems: dict[str, list[world.Problem]]) -> None:
    """By chance, or where two mistakes cancel: a few of the right answers, as among models. Exact shares."""
    reached = by_chance = 0.0
    for problem in problems["validation"][:100]:
        for share, moves in plans(problem.steps):
            if world.calculate(problem.start, [move for _, move in moves]).result == int(problem.answer):
                reached += share
                done = [tuple(move for owner, move in moves if owner == clause) for clause in range(problem.level)]
                by_chance += share * any(way not in step.ways for way, step in zip(done, problem.steps, strict=True))
    assert 0.2 < reached / 100 < 0.5
    assert 0.01 < by_chance / reached < 0.05


def test_the_step_that_a_reflection_names_is_to_blame(problems: dict[str, list[world.Problem]]) -> None:
    rng = random.Random(2)
    reasons = set()
    for problem in problems["pretrain"]:
        moves = habits.attempt(problem, rng)
        if world.calculate(problem.start, [move for _, move in moves]).result != int(problem.answer):
            place, reason = habits.first_mistake(problem, moves)
            clause, move = moves[place]
            step = problem.steps[clause]
            assert move in (step.wrong, *step.detour[:1])
            assert all(owner != clause for owner, _ in moves[:place])
            reasons.add(reason)
    assert {"A part is missing.", "That cannot be mended.", "All groups count."} <= reasons


@pytest.fixture(scope="module")
def written(problems: dict[str, list[world.Problem]]) -> list[tuple[world.Problem, str]]:
    return list(zip(world.generate("pretrain", 1000, 1), corpus.texts(1000, 1), strict=True))


def test_texts_are_attempts_that_calculate_what_they_plan(written: list[tuple[world.Problem, str]]) -> None:
    for problem, text in written:
        attempt = text.partition("\n<verdict>\n")[0]
        [answer] = re.findall(r"The final answer is \\boxed\{(\d+)\}\.\n</solution>$", attempt)
        assert attempt.startswith(f"<question>\n{problem.question}\n</question>\n")
        if "<plan>" in attempt:
            assert follow(problem.start, re.findall(r"Plan \d+: (.*)", attempt)) == int(answer)
            lines = re.findall(r"^\d+\. (.*)$", attempt, re.MULTILINE)
        else:
            lines = re.findall(r"<step>\nStep \d+: (.*)\n</step>", attempt)
        assert lines
        assert all(map(is_calculated, lines))
        assert re.search(rf" = {answer}\b", lines[-1])


def test_one_text_in_five_calculates_without_a_plan(written: list[tuple[world.Problem, str]]) -> None:
    plain = [(problem, text) for problem, text in written if "<plan>" not in text]
    assert 0.15 < len(plain) / len(written) < 0.25
    for problem, text in plain:
        steps = re.findall(r"Step \d+: .*", text)
        assert [step.partition(":")[0] for step in steps] == [f"Step {k}" for k in range(1, len(steps) + 1)]
        rest = "".join(f"<step>\n{step}\n</step>\n" for step in steps)
        end = text.rpartition("</step>\n")[2]
        assert text == f"<question>\n{problem.question}\n</question>\n<solution>\n{rest}{end}"
        assert re.fullmatch(r"The final answer is \\boxed\{\d+\}\.\n</solution>", end)


def test_one_sum_in_five_is_written_the_other_way_round(written: list[tuple[world.Problem, str]]) -> None:
    begun = [(problem.start, re.search(r"^(?:1\.|Step 1:) (\d+) \+ (\d+) = ", text, re.M)) for problem, text in written]
    turned = [int(found[1]) != start for start, found in begun if found]
    assert 0.1 < sum(turned) / len(turned) < 0.3


def test_failed_attempts_go_on_with_a_reflection_or_with_a_new_plan_at_once(
    written: list[tuple[world.Problem, str]],
) -> None:
    ends = Counter[str]()
    better = Counter[str]()
    for problem, text in written:
        attempt, _, second = text.partition("\n<verdict>\n")
        plan = re.findall(r"Plan \d+: (.*)", attempt)
        if not plan or follow(problem.start, plan) == int(problem.answer):
            assert not second
            continue
        end = "reflection" if "<reflection>" in second else "new plan" if second else "nothing"
        ends[end] += 1
        if not second:
            continue
        said, _, rest = second.partition("\n</verdict>\n")
        assert said == f"The answer is wrong. The desired correct final answer is {problem.answer}."
        assert problem.answer not in re.findall(r"\d+", rest)
        reflection, opened, new_plan = rest.rpartition("<plan>\n")
        assert opened
        if end == "reflection":
            named = re.fullmatch(r"<reflection>\nPlan (\d+) is wrong: (.*?)\. .*\.\n</reflection>\n", reflection)
            assert named
            assert plan[int(named[1]) - 1] == named[2]
        else:
            assert not reflection
        assert new_plan.startswith("<step>\nPlan 1: ")
        assert new_plan.endswith("\n</step>\n</plan>\n")
        better[end] += follow(problem.start, re.findall(r"Plan \d+: (.*)", new_plan)) == int(problem.answer)
    failed = ends.total()
    assert 0.4 < ends["reflection"] / failed < 0.6
    assert 0.12 < ends["new plan"] / failed < 0.28
    assert better["reflection"] / ends["reflection"] > better["new plan"] / ends["new plan"] > 0.3


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
