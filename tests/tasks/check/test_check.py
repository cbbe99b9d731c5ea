"""Answers are judged by the data's conventions, and an answer that hangs costs its timeout and nothing else."""

import asyncio
import gc
import itertools
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from fractions import Fraction
from multiprocessing import forkserver
from pathlib import Path

import pytest
import sympy

from tasks.check import Checker, Verdict, extract_answer, is_equal, pool, symbolic
from tasks.check.enclosure import Undecidable
from tasks.check.equivalence import is_equal_at_sight, is_same_text
from tasks.check.formula import parse
from tasks.check.notation import boxed_contents, depth
from tasks.check.numerals import exact_value
from tasks.check.scalar import in_base
from tasks.check.units import _denominator, canonical, in_digits
from tasks.questions.places import BESIDE, data_folder

CASES = Path(__file__).with_name("answer_cases.txt").read_text()
PAIRS = (data_folder() or BESIDE) / "answer_pairs.jsonl"


def groups() -> dict[str, list[tuple[str, str, bool]]]:
    """Convention -> (gold, answer, equal)."""
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for line in CASES.splitlines()[3:]:
        if line.startswith("# "):
            group = found.setdefault(line[2:], [])
        else:
            gold, mark, answer = re.split(r"   (!?~)   ", line)
            group.append((gold, answer, mark == "~"))
    return found


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=2) as running:
        yield running


@pytest.mark.parametrize("convention", groups())
def test_conventions_hold(convention: str) -> None:
    cases = groups()[convention]
    judged = [(gold, answer, is_equal(gold, answer)) for gold, answer, _ in cases]
    assert judged == cases


def test_what_is_decided_at_sight_is_what_algebra_would_decide() -> None:
    at_sight = 0
    for cases in groups().values():
        for gold, answer, equal in cases:
            decided = is_equal_at_sight(gold, answer)
            assert decided in (None, equal), (gold, answer)
            at_sight += decided is not None
    assert at_sight > 300


@pytest.mark.skipif(not PAIRS.is_file(), reason=f"there is no {PAIRS.name} in CPL_DATA or beside the repository")
def test_listed_pairs_are_judged_as_listed(checker: Checker) -> None:
    pairs = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    verdicts = checker.check_many([(pair["gold"], pair["candidate"]) for pair in pairs])
    wrong = [pair["id"] for pair, verdict in zip(pairs, verdicts, strict=True) if (verdict == "right") != pair["equal"]]
    assert pairs
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{4}.", "4"),
        (r"\boxed{1}, no: \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{ 7 }", "7"),
        (r"\boxed{3} and then \boxed{4", "3"),
        (r"\boxed{}", ""),
        (r"\boxed{4", None),
        (r"\boxed{3 and \boxed{4} }", "4"),
        (r"\boxed{3} and { \fbox {4} }}", "4"),
        (r"\boxed{3 \} 4}", r"3 \} 4"),
        (r"\\boxed{5}", "5"),
        ("the answer is 4", None),
        ("", None),
    ],
)
def test_the_last_complete_box_is_the_answer(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


def test_every_complete_box_is_found_in_order() -> None:
    assert boxed_contents(r"\boxed{ 1 }, then \fbox{2 and \boxed{3}}, then \boxed{4") == ["1", r"2 and \boxed{3}", "3"]


@pytest.mark.parametrize(
    "text", [r"\boxed{" * 60_000, "{" * 400_000, r"\boxed{" * 30_000 + "}" * 30_000, "\\" * 400_000]
)
def test_a_text_is_searched_for_its_box_in_time_that_grows_with_it(text: str) -> None:
    started = time.process_time()
    extract_answer(text + r"\boxed{5}")
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    "answer",
    ["", " ", "}", "{" * 900, "(" * 900, "\\", "\\frac", "\\frac{1}{", "_{", "^", '"', "$", "\\pm" * 300, ",", "=", "<",
     "\\begin{matrix}", "1" * 999, "1" * 9999, "\\sqrt" * 150, "a" * 999 + "!", "5 " + "ab " * 300, "½√π",
     "\x00", "😀"],
)  # fmt: skip
def test_rubbish_is_wrong_and_quickly_so(answer: str) -> None:
    started = time.process_time()
    assert is_equal_at_sight("5", answer) in (False, None)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", Fraction(12)), ("-12", Fraction(-12)), ("- 12", Fraction(-12)), ("+12", Fraction(12)), ("--12", None),
        ("-+12", None),
        ("1,234", Fraction(1234)), ("12 345", Fraction(12345)), ("1,234.5", Fraction(2469, 2)), ("12,34", None),
        (".5", Fraction(1, 2)), ("2.", Fraction(2)), ("3/4", Fraction(3, 4)), ("3/-4", Fraction(-3, 4)), ("3/0", None),
        (r"\frac{3}{4}", Fraction(3, 4)), (r"\frac{-3}{4}", Fraction(-3, 4)), (r"\frac{3}{0}", None),
        (r"1\frac{2}{3}", Fraction(5, 3)), ("1 2/3", Fraction(5, 3)), ("-1 2/3", Fraction(-5, 3)), ("1 3/2", None),
        ("1 3/3", None), ("1 2/0", None), ("1 2", None), (r"0.\overline{3}", Fraction(1, 3)), ("0.(3)", Fraction(1, 3)),
        (r".1\overline{6}", Fraction(1, 6)), (r"2.\overline{09}", Fraction(23, 11)), (r"0.333\ldots", Fraction(1, 3)),
        (r"0.12\ldots", None), (r"0.1666\ldots", Fraction(1, 6)), (r"1.5\times 10^{3}", Fraction(1500)),
        ("1.5e3", Fraction(1500)), ("2E-2", Fraction(1, 50)), (r"3\cdot 10^{-2}", Fraction(3, 100)), ("1e1000", None),
        ("1e999", Fraction(10**999)), ("7" * 400, Fraction(int("7" * 400))), ("7" * 401, None), ("x", None), ("", None),
    ],
)  # fmt: skip
def test_a_plain_number_is_read_exactly(text: str, value: Fraction | None) -> None:
    assert exact_value(text) == value


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("sq. ft", "foot^2"), ("square feet", "foot^2"), ("ft^2", "foot^2"), ("cubic inches", "inch^3"),
        ("red apples", "apple"), ("cherries", "cherry"), ("pies", "pie"), ("boxes", "box"), ("dishes", "dish"),
        ("in.", "inch"), ("branches", "branch"), ("glasses", "glass"), ("glass", "glass"), ("men", "man"), ("", ""),
        ("units", ""), ("cm^{2}", "centimeter^2"), ("inches cubed", "inch^3"), ("in.^{3}", "inch^3"),
        ("kms", "kilometer"), ("flies", "fly"), ("apples each", "apple"), ("apples total", "apple"),
        ("of the cake", "cake"), ("m s^{-2}", "meter per second^2"), ("M S^{-1}", "meter per second"),
        ("s^{-2}m", "per second^2 meter"),
        ("kg m^2", "kilogram meter^2"), ("ft^2 of carpet", "foot^2"), ("square units", ""), ("units squared", ""),
        ("squared", ""), (r"\cdot apples", "apple"),
        (r"kg \cdot m", "kilogram meter"), (r"\frac{apples}{day}", "per day"),
        ("miles per hour", "mile per hour"), ("mph", "mile per hour"), ("m/s", "meter per second"), ("in total", ""),
        ("cm squared", "centimeter^2"), ("years old", "year"), ("ft of rope", "foot"), ("apples in the box", "apple"),
        ("apples altogether", "apple"), ("of the", ""),
    ],
)  # fmt: skip
def test_a_unit_has_one_name(written: str, unit: str) -> None:
    assert canonical(written) == unit


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("Seven", "7"), ("a third", "1/3"), ("one half", "1/2"), ("two thirds", "2/3"), ("a thirds", "a thirds"),
        ("minus five", "-5"), ("negative one hundred and five", "-105"), ("Minus Apples", "Minus Apples"),
    ],
)  # fmt: skip
def test_numbers_in_words_are_digits_and_other_words_stay(words: str, digits: str) -> None:
    assert in_digits(words) == digits


@pytest.mark.parametrize(
    ("digits", "base", "value"),
    [
        ("101", 2, Fraction(5)), ("-101", 2, Fraction(-5)), ("+1.1", 2, Fraction(3, 2)), ("-0.01", 2, Fraction(-1, 4)),
        ("2", 2, None), ("z", 36, Fraction(35)), ("10", 1, None), ("10", 37, None),
        ("1" * 200, 10, Fraction(int("1" * 200))),
        ("1" * 201, 10, None), (".", 10, None), ("", 10, None), ("1/2", 10, None),
    ],
)  # fmt: skip
def test_digits_are_read_in_their_base(digits: str, base: int, value: Fraction | None) -> None:
    found = in_base(digits, base)
    assert (found and (found.value, found.base)) == (None if value is None else (value, base))


def test_too_long_and_too_deep_answers_are_wrong_unread() -> None:
    assert is_equal("5", " " * 999 + "5")
    assert not is_equal("5", " " * 1000 + "5")
    assert is_equal("7" * 600, " " * 600 + "7" * 600)  # twice as long as the gold answer
    assert not is_equal("7" * 600, " " * 601 + "7" * 600)
    assert is_equal("5", "(" * 40 + "5" + ")" * 40)
    assert not is_equal("5", "(" * 41 + "5" + ")" * 41)
    assert is_equal("(" * 41 + "5" + ")" * 41, "(" * 41 + "5" + ")" * 41)
    assert is_equal("50", "+".join(["(1)"] * 50))  # side by side, not nested
    assert not is_equal("42", "(1+" * 41 + "1" + ")" * 41)
    assert depth("") == 0
    assert not any(is_equal(gold, answer) for gold, answer in [("", ""), ("5", " "), (" ", "5"), ("", r"\boxed{}")])


def test_a_long_gold_answer_is_compared_as_text_at_sight_only() -> None:
    assert is_equal_at_sight("w" * 1000, "6") is False
    assert is_equal_at_sight("w" * 1001, "6") is None
    assert is_equal_at_sight("7" * 1001, "$" + "7" * 1001 + "$") is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5", r"\sum_{k=1}^{\infty} \frac{1}{k^k}"),
        (r"\sum_{k=1}^{\infty} \frac{1}{k^k}", "5"),
        (r"\sum_{k=1}^{10^8} \frac{1}{k}", "19"),
        (r"\prod_{k=1}^{10^8} k", "5"),
        (r"\lfloor\sqrt{x-\frac{14}{5}}\rfloor", r"\lfloor\sqrt{x-\frac{14}{5}}\rfloor+1-1"),
    ],
)
def test_what_cannot_be_found_out_is_neither_right_nor_wrong(gold: str, answer: str) -> None:
    """No value is known, or at fewer than two of the points where formulas with letters are compared."""
    with pytest.raises(Undecidable):
        is_equal(gold, answer)


def test_the_same_letters_have_the_same_values_again() -> None:
    letters = sympy.symbols("x y")
    assert list(symbolic._points(letters)) == list(symbolic._points(letters))


def test_the_parser_is_warm_once_loaded() -> None:
    parse.cache_clear()
    symbolic.load()
    assert parse.cache_info().currsize == 2


def test_exact_compares_text() -> None:
    assert is_same_text("(B)", "B")
    assert not any(is_same_text(one, "B") for one in ("(B", "B)", "(B]", "[B)", "(BB)", "((B"))
    assert is_same_text("18", " 18. ")
    assert is_same_text("18", "$18$")
    assert is_same_text("B", "(B)")
    assert is_same_text(r"\text{Evelyn}", "Evelyn")
    assert is_same_text("22, 500", "22; 500")
    assert not is_same_text("22, 500", "22,500")
    assert not is_same_text("18", "18.0")
    assert not is_same_text("18", "36/2")


def test_exact_and_plain_numbers_start_no_process() -> None:
    with Checker() as checker:
        assert asyncio.run(checker.check("18", "18", exact=True)) is Verdict.RIGHT
        assert asyncio.run(checker.check("18", "36/2", exact=True)) is Verdict.WRONG
        assert checker.check_many([("18", "36/2"), ("18", "17.5"), (r"\frac12", "0.5")]) == ["right", "wrong", "right"]
        assert checker.check_many([("18", "36/2"), ("18", "18.")], exact=True) == ["wrong", "right"]
        assert checker._pool is None


COSTLY = r"\int_0^1 \frac{\sin(x^x)}{\ln(x+2)} dx"  # on which sympy works for more than five seconds


def test_a_costly_answer_is_given_up_and_nothing_else(checker: Checker) -> None:
    checker.check_many([(r"\sqrt{8}", r"2\sqrt{2}")])  # the workers are up

    async def check_all() -> tuple[list[Verdict], bool]:
        costly = asyncio.create_task(checker.check("5", COSTLY))
        await asyncio.sleep(0.1)
        others = await asyncio.gather(
            *(checker.check(rf"{n}\sqrt{{2}}", rf"\frac{{{2 * n}}}{{\sqrt{{2}}}}") for n in range(1, 10))
        )
        goes_on = not costly.done()
        return [await costly, *others], goes_on

    workers = workers_of(checker)
    verdicts, goes_on = asyncio.run(check_all())
    assert verdicts == [Verdict.UNDECIDED] + [Verdict.RIGHT] * 9
    assert goes_on
    assert workers_of(checker) == workers  # given up, not killed: the next check finds them warm


def workers_of(checker: Checker) -> set[int]:
    assert checker._pool is not None
    return set(checker._pool._pool_manager.worker_manager.workers)


def test_a_check_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Checker(workers=1, timeout=3) as checker:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_judge", sleep)
            assert checker.check_many([(r"\sqrt{8}", "x")]) == [Verdict.UNDECIDED]
        assert checker.check_many([(r"\sqrt{18}", r"3\sqrt{2}")]) == [Verdict.RIGHT]
        assert checker.check_many([(r"\sqrt{8}", "x")]) == [Verdict.WRONG]  # tried again
        assert len(workers_of(checker)) == 1


@pytest.mark.timeout(120)
def test_a_check_that_nothing_can_give_up_ends_its_worker_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the work that it did, not by the clock, so that a busy machine decides as an idle one does."""
    with Checker(workers=2, timeout=300) as checker:
        assert checker.check_many([(r"\sqrt{8}", "x")]) == [Verdict.WRONG]
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_judge", count_for_ever)
            assert checker.check_many([(r"\sqrt{8}", "y")]) == [Verdict.UNDECIDED]
        assert checker.check_many([(r"\sqrt{18}", r"3\sqrt{2}")]) == [Verdict.RIGHT]


def test_a_check_has_its_clocks_and_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look(gold: str, answer: str) -> bool:
        asked.append((gold, answer, *left()))
        return True

    def left() -> list[float]:
        return [signal.getitimer(clock)[0] for clock in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]

    monkeypatch.setattr(pool, "is_equal", look)
    assert pool._judge("5", "6")
    assert asked == [("5", "6", pytest.approx(pool.PROCESSOR_TIME, rel=0.1), pytest.approx(pool.LAST_RESORT, rel=0.1))]
    assert left() == [0, 0]


def test_a_worker_is_limited_before_its_first_check(monkeypatch: pytest.MonkeyPatch) -> None:
    digits, handler = sys.get_int_max_str_digits(), signal.getsignal(signal.SIGVTALRM)
    limits = []
    with monkeypatch.context() as patch:
        patch.setattr(resource, "setrlimit", lambda *limit: limits.append(limit))
        pool._prepare()
    try:
        assert limits == [(resource.RLIMIT_AS, (pool.MEMORY, pool.MEMORY))]
        assert sys.get_int_max_str_digits() == pool.LONGEST_NUMBER
        patch.setattr(pool, "PROCESSOR_TIME", 0.1)
        patch.setattr(pool, "is_equal", lambda gold, answer: all(True for _ in itertools.count()))
        with pytest.raises(Undecidable, match=r"it takes more than 0\.1 s"):
            pool._judge("5", "6")
    finally:
        patch.undo()
        sys.set_int_max_str_digits(digits)
        signal.signal(signal.SIGVTALRM, handler)


def count_for_ever(gold: str, answer: str) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "PROCESSOR_TIME", 0.1)
        patch.setattr(pool, "LAST_RESORT", 0.5)
        patch.setattr(pool, "is_equal", lambda gold, answer: sum(itertools.repeat(0)))
        return pool._judge(gold, answer)


def sleep(gold: str, answer: str) -> bool:
    time.sleep(60)
    return True


def test_a_crash_is_undecided_and_does_not_poison_the_pool(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Checker(workers=2) as checker:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_judge", crash)
            assert checker.check_many([(r"\sqrt{8}", "x"), (r"\sqrt{8}", "y")]) == [Verdict.UNDECIDED] * 2
            patch.setattr(pool, "_judge", give_up)
            assert asyncio.run(checker.check(r"\sqrt{8}", "z")) is Verdict.UNDECIDED
        assert checker.check_many([(r"\sqrt{8}", r"2\sqrt{2}"), (r"\sqrt{8}", "3")]) == ["right", "wrong"]
    gc.collect()
    assert {record.name for record in caplog.records} == {"tasks.check.pool"}  # nothing of futures that nobody asked
    assert caplog.messages[-1] == r"Undecided whether 'z' equals '\\sqrt{8}': KeyError"


def test_what_several_wait_for_is_undecided_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask_twice(checker: Checker) -> list[Verdict]:
        return await asyncio.gather(*(checker.check(r"\sqrt{8}", "z") for _ in range(2)))

    with Checker(workers=1) as checker:
        monkeypatch.setattr(pool, "_judge", give_up)
        assert asyncio.run(ask_twice(checker)) == [Verdict.UNDECIDED] * 2


def crash(gold: str, answer: str) -> bool:
    os._exit(7)


def give_up(gold: str, answer: str) -> bool:
    raise KeyError


def test_a_lost_forkserver_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    with Checker(workers=2) as checker:
        assert checker.check_many([(r"\sqrt{8}", r"2\sqrt{2}")]) == [Verdict.RIGHT]
        lose_all(checker)
        pairs = [(rf"{n}\sqrt{{2}}", rf"\frac{{{2 * n}}}{{\sqrt{{2}}}}") for n in range(1, 5)]
        assert checker.check_many(pairs) == [Verdict.RIGHT] * 4
        os.kill(next(iter(workers_of(checker))), signal.SIGKILL)
        assert asyncio.run(checker.check(r"\sqrt{50}", r"5\sqrt{2}")) is Verdict.RIGHT
    assert "The answer checker's processes are lost; starting others" in caplog.messages


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("at_once", [False, True])
def test_what_waits_when_the_pool_itself_fails_is_asked_again(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise EOFError

    async def check_at_once(checker: Checker) -> list[Verdict]:
        return await asyncio.gather(*(checker.check(*pair) for pair in pairs))

    pairs = [(r"\sqrt{50}", r"5\sqrt{2}"), (r"\sqrt{18}", r"3\sqrt{2}")]
    with Checker(workers=1) as checker:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_judge", sleep)
            for pair in pairs:
                checker._ask(pair)
        assert checker._pool is not None
        monkeypatch.setattr(checker._pool._pool_manager.worker_manager, "create_workers", fail)
        verdicts = asyncio.run(check_at_once(checker)) if at_once else checker.check_many(pairs)
    assert verdicts == [Verdict.RIGHT] * 2


def test_nothing_of_a_checker_outlives_it() -> None:
    async def ask() -> tuple[Verdict, Checker]:
        async with Checker(workers=1) as checker:
            return await checker.check(r"\sqrt{8}", r"2\sqrt{2}"), checker

    verdict, checker = asyncio.run(ask())
    assert verdict is Verdict.RIGHT
    assert checker._pool is None


def lose_all(checker: Checker) -> None:
    for pid in (forkserver._forkserver._forkserver_pid, *workers_of(checker)):  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)


def test_what_goes_wrong_with_one_answer_is_undecided(
    checker: Checker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pool, "is_equal_at_sight", out_of_hand)
        patch.setattr(pool, "is_same_text", out_of_hand)
        assert checker.check_many([("5", "5"), ("5", "6")]) == [Verdict.UNDECIDED] * 2
        assert asyncio.run(checker.check("5", "5", exact=True)) is Verdict.UNDECIDED
    assert checker.check_many([("5", "5")]) == [Verdict.RIGHT]
    assert caplog.messages == [f"Undecided whether '{answer}' equals '5'" for answer in "565"]


def out_of_hand(gold: str, answer: str) -> bool:
    raise RuntimeError("unforeseen")


@pytest.mark.parametrize(
    "gold", ["0." + "3" * 5000, "7" * 5000, "(" * 3000 + "5" + ")" * 3000, r"\frac{1}{" + "9" * 5000 + "}"]
)
def test_a_monstrous_gold_answer_harms_nothing(checker: Checker, gold: str) -> None:
    right, other = checker.check_many([(gold, gold), (gold, "6")])
    assert right is Verdict.RIGHT
    assert other is not Verdict.RIGHT


HOSTILE = [
    "9^{9^{9^9}}", "10^{10^7}", "(7^{99999})^{99}+x", "10^9!", "((9!)!)!", r"\binom{10^9}{5\cdot10^8}",
    r"\binom{1000000000}{500000000}", "(a+b+c+d)^{99}-(a+b+c)^{99}", r"\log_2 3^{10^8}", r"3^{10^9} \mod 7",
    r"\Gamma(10^9)", r"\lfloor e^{10^6} \rfloor", r"10^{-999999999}\sqrt{2}", "2^{2^{20}}+1", r"\sin(10^{100000})",
    "(x+1)^{500}", "e^{e^{e^{e^{10}}}}", r"\frac{1}{9^{9^{9^9}}}", "x^{x^{x^x}}", r"\sin(" * 80 + "x" + ")" * 80,
    r"\sqrt{1+" * 60 + "1" + "}" * 60, r"\frac{1}{1+" * 30 + "1" + "}" * 30,
]  # fmt: skip
"""Each ran into the time limit, or came near it, when numbers were computed before their size was known."""


def test_hostile_answers_to_a_plain_number_are_told_apart_from_it_cheaply(checker: Checker) -> None:
    checker.check_many([(r"\sqrt{8}", r"2\sqrt{2}")])
    verdicts = dict(zip(HOSTILE, checker.check_many([("5", answer) for answer in HOSTILE]), strict=True))
    assert Verdict.RIGHT not in verdicts.values()
    undecided = [answer[:40] for answer, verdict in verdicts.items() if verdict is Verdict.UNDECIDED]
    assert len(undecided) <= 2, undecided


def test_all_workers_are_asked_before_an_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(pair: tuple[str, str]) -> Future[bool]:
        asked.append(pair)
        future = Future[bool]()
        future.set_result(True)
        return future

    checker = Checker()
    monkeypatch.setattr(checker, "_ask", ask)
    pairs = [("(x+1)^2", "x^2+2x+1"), ("5", "5"), ("a(b+1)", "ab+a")]
    assert checker.check_many(pairs) == [Verdict.RIGHT] * 3
    assert asked[:2] == [pairs[0], pairs[2]]


def test_the_same_pair_is_asked_once(checker: Checker) -> None:
    pair = (r"\sqrt{50}", r"5\sqrt{2}")
    assert checker.check_many([pair] * 1000) == [Verdict.RIGHT] * 1000
    future = checker._asked[pair]
    assert asyncio.run(checker.check(*pair)) is Verdict.RIGHT
    assert checker._asked[pair] is future


def test_the_pairs_that_were_asked_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "REMEMBERED", 2)
    first, second, third = [(rf"{n}\sqrt{{2}}", rf"\frac{{{2 * n}}}{{\sqrt{{2}}}}") for n in (1, 2, 3)]
    with Checker(workers=1) as checker:
        assert checker.check_many([first, second]) == [Verdict.RIGHT] * 2
        assert checker.check_many([first, third]) == [Verdict.RIGHT] * 2
        assert list(checker._asked) == [first, third]


@pytest.mark.parametrize(("cores", "workers"), [(None, 2), (1, 2), (4, 2), (9, 4), (10, 5), (64, 8)])
def test_half_of_the_cores_check_answers(cores: int | None, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert Checker()._workers == workers
    assert Checker(workers=3)._workers == 3


def test_a_cancelled_caller_does_not_cancel_the_check_of_others(checker: Checker) -> None:
    async def cancel_one() -> Verdict:
        pair = (r"\sqrt{72}", r"6\sqrt{2}")
        cancelled, kept = (asyncio.create_task(checker.check(*pair)) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        return await kept

    assert asyncio.run(cancel_one()) is Verdict.RIGHT


def test_parts_of_a_whole_are_named_by_how_many_they_are() -> None:
    named = ("three", "five", "seven", "twelve", "twenty", "twenty-one", "ninety-nine", "hundred")
    parts = ["third", "fifth", "seventh", "twelfth", "twentieth", "twenty-first", "ninety-ninth", "hundredth"]
    assert [_denominator(number) for number in named] == parts
