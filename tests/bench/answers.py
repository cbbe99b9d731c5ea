r"""The answer checker against itself and against a second one, on the reference answers of public sets.

    .venv/bin/python -m tests.bench.answers [DATA_FOLDER] > build/answers.txt

Every reference answer is written in other ways that state the same, and in ways that do not; and every two answers of
one set are compared, which must differ. Printed: where the checker is not of that mind, and where math-verify is of
another (to be looked at: its conventions are others), of these and of the cases that the checker's tests hold.
"""

import gzip
import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tasks.check import Checker
from tasks.check.second_opinion import Opinion, second_opinions
from tasks.questions.places import BESIDE, data_folder
from tests.tasks.check.test_check import groups

SETS = (
    "gsm8k/train",
    "gsm8k/test",
    "bbh/test",
    "boolq/validation",
    "arc_challenge/test",
    "mmlu/dev",
    "piqa/validation",
)
MOST = 400
"""Answers of a set that are rewritten and compared with each other."""
Case = tuple[str, str, bool]


def golds(folder: Path, name: str) -> list[str]:
    """The different answers of a set, as stored and as published."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    raw = (row.get("meta", {}).get("answer_raw") for row in rows)
    return list(dict.fromkeys([row["answer"] for row in rows] + [one for one in raw if one]))


def written(gold: str) -> Iterator[Case]:
    """The answer in other writings, and others that only look like it."""
    yield from ((gold, one, True) for one in (gold, f" {gold} ", f"${gold}$", rf"\({gold}\)"))
    if "}" not in gold:
        yield gold, rf"\boxed{{{gold}}}", True
    if re.fullmatch(r"[A-Z]", gold):
        yield from ((gold, one, True) for one in (f"({gold})", f"{gold}.", f"({gold}) foo", rf"\text{{{gold}}}"))
        yield gold, chr(ord(gold) + 1), False
    if not re.fullmatch(r"-?\d[\d,]*(?:\.\d+)?", gold):
        return
    value = Fraction(gold.replace(",", ""))
    number = str(value) if value.denominator == 1 else gold.replace(",", "")
    for one in number_writings(number, value):
        yield gold, one, True
    for other in (value + 1, -value - 1, value * 10, value / 10 + 1):
        yield gold, str(other), other == value
    if len(number.lstrip("-")) > 1:
        yield gold, f"{number[:-1]} {number[-1]}", False
        yield gold, f"{number[:-1]}, {number[-1]}", False


def number_writings(number: str, value: Fraction) -> Iterator[str]:
    """A number as LaTeX, with a unit, as a fraction, a mixed number or a decimal, with commas, in other characters."""
    yield from (rf"\frac{{{3 * value.numerator}}}{{{3 * value.denominator}}}", f"{number} apples", f"{number} (apples)")
    yield from (
        rf"{number}\text{{ apples}}",
        f"x = {number}",
        f"f(2)={number}",
        f"${number}",
        rf"\${number}",
        f"≈{number}",
    )
    yield from (f"The answer is {number}.", f"**{number}**", f"{2 * value} ÷ 2", f"{number} × 1", f"({number})")
    yield number.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789-"})
    if value.denominator == 1:
        yield from (
            f"{int(value):,}",
            f"{number}.0",
            f"{number}.00",
            f"{number}.",
            f"{int(value):,}".replace(",", "{,}"),
        )
    if value.denominator == 1 and abs(value) > 99:
        yield rf"{float(value):.12e}"
    half = value + Fraction(1, 2)
    if half > 1 and value.denominator == 1:
        yield f"{int(value)} 1/2 - 0.5"


def main(folder: Path) -> None:
    cases: list[Case] = []
    for name in SETS:
        some = golds(folder, name)[:MOST]
        cases += [case for gold in some for case in written(gold)]
        cases += [(one, other, False) for one, other in itertools.permutations(some, 2) if plain(one) != plain(other)]
    with Checker() as checker:
        verdicts = checker.check_many([(gold, answer) for gold, answer, _ in cases])
    failed = [(case, verdict) for case, verdict in zip(cases, verdicts, strict=True) if (verdict == "right") != case[2]]
    for (gold, answer, equal), verdict in failed:
        print(f"{'equal' if equal else 'different'} but {verdict}: {gold!r} {answer!r}")
    print(f"{len(cases)} pairs, {len(failed)} not as meant, {sum(one == 'undecided' for one in verdicts)} undecided")
    asked = [case for case in cases if case[2] or plain(case[0])[:1] == plain(case[1])[:1]]
    compare("the sets' answers", asked[:: max(1, len(asked) // 4_000)])
    compare("the test's cases", [case for group in groups().values() for case in group])


def compare(what: str, cases: Sequence[Case]) -> None:
    """Label noise: which cases math-verify, as it comes, judges otherwise than is meant."""
    opinions = second_opinions((gold, answer) for gold, answer, _ in cases)
    kinds = Counter((equal, opinion) for (_, _, equal), opinion in zip(cases, opinions, strict=True))
    for (gold, answer, equal), opinion in zip(cases, opinions, strict=True):
        if opinion is (Opinion.WRONG if equal else Opinion.RIGHT):
            print(f"math-verify against {'equal' if equal else 'different'}: {gold!r} {answer!r}")
    missed, taken = kinds[True, Opinion.WRONG], kinds[False, Opinion.RIGHT]
    compared = sum(n for (_, opinion), n in kinds.items() if opinion in (Opinion.RIGHT, Opinion.WRONG))
    print(
        f"{what}, {len(cases)}: math-verify judges {missed + taken} of {compared} otherwise, {missed} that are equal "
        f"and {taken} that are not; it cannot read or decide {len(cases) - compared}"
    )


def plain(answer: str) -> str:
    return answer.replace(",", "").casefold()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else data_folder() or BESIDE)
