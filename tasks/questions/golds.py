r"""The final answer of a worked solution, as published sets mark it.

"#### 72" (GSM8K), a last \boxed{72} (MATH, NuminaMath), "The answer is: 72" (MetaMathQA), <answer>72</answer>. A text
without such a mark is a final answer itself, unless it is prose, a calculation, or of several lines.
"""

import re
from typing import NamedTuple

from tasks.check.equivalence import LONGEST, is_equal_at_sight
from tasks.check.notation import boxed_contents

_THOUGHT = re.compile(
    r"<think(?:ing)?>.*?</think(?:ing)?>|<\|begin_of_thought\|>.*?<\|end_of_thought\|>|\A.*</think(?:ing)?>", re.DOTALL
)
_SPECIAL = re.compile(r"<\|[^|<>\n]*\|>|</?s>|<eos>")
_PHRASE = re.compile(
    r"(?:\b(?:the|final|correct)\s+)*\banswer\b\**(?:\s+is\b(?!\s+not\b)\s*:?|\s*[:=])[*\s]*", re.IGNORECASE
)
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_HOPE = re.compile(r"\s*I hope it is correct\.?\s*\Z")  # Minerva's few-shot prompt, and who learnt from it
_BARE_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z{])\s*([^\s${}\\][^${}]*?)\s*\.?\s*(?=\$|\\\)|\\\]|\Z)")
_BECAUSE = re.compile(r",?\s+(?:because|since)\s.*", re.IGNORECASE)
_SENTENCE = re.compile(r"(?:[A-Z][a-z']*,?|I)(?:\s+\S+){2,}[.!]")
_NOTHING = re.compile(
    r"|proof|not ?found"  # NuminaMath 1.5 has these words where it has no answer
    r"|none|unknown|n/?a|\?+|-+|tbd|see (?:above|below|(?:the )?(?:solution|explanation))"
    r"|\{\s*(['\"]).*\1\s*:.*\}",  # a dictionary of Python
    re.DOTALL,
)
_SENTENCES = re.compile(r"(?:[^\W\d_]{3}|[\d)$}%])[.!?]\s+[A-Z]")


class Gold(NamedTuple):
    """A final answer, and the text that leads to it, where there is one."""

    answer: str
    solution: str | None


class NoFinalAnswer(ValueError):
    """The text states no final answer, or several that differ: the message says which."""


def final_answer(text: str) -> Gold:
    """The final answer that a text states, or is.

    Raises:
        NoFinalAnswer: there is none to be seen, so that every answer to the question would be judged wrong.
    """
    text = _SPECIAL.sub("", _THOUGHT.sub("", text)).strip()
    if not boxed_contents(text):
        text = _BARE_BOX.sub(r"\\boxed{\1}", text)  # \boxed 72
    boxed = boxed_contents(text)
    start, stated = _stated(text)
    answers = boxed[-1:] + stated
    answer = answers[0] if answers else text
    if boxed and not boxed[-1]:
        raise NoFinalAnswer(r"empty \boxed answer")
    is_none = _NOTHING.fullmatch(answer.casefold().rstrip(".")) or (not answers and _is_worked(text))
    if is_none or max(map(len, [answer, *boxed, *stated])) > LONGEST:
        raise NoFinalAnswer(
            r"no final answer (it stands alone, or ends a solution as '#### 72', \boxed{72} or 'The answer is: 72')"
        )
    if not all(other == answer or is_equal_at_sight(answer, other) for other in boxed):
        raise NoFinalAnswer(r"several \boxed answers that differ")
    if any(is_equal_at_sight(answer, other) is False for other in stated):
        raise NoFinalAnswer("a solution that ends with two answers that differ")
    if boxed:
        start = text.rindex("\\boxed" if "\\boxed" in text else "\\fbox")
    leads = text[:start].strip() if text.startswith("####", start) else text
    return Gold(answer, leads if answers and re.search(r"\w", text[:start]) else None)


def _stated(text: str) -> tuple[int, list[str]]:
    """What the last lines state after a mark each, and where the first of these marks begins.

    Marks above other lines do not count: there "####" is a heading of Markdown.
    """
    start = end = len(text)
    stated = [tag.strip() for tag in _TAG.findall(text)[-1:]]
    for line in reversed(text.splitlines(keepends=True)):
        end -= len(line)
        if line.strip():
            place, said = _mark(line)
            if not said:
                break
            stated.append(said)
            start = end + place
            if line[:place].strip():
                break
    return start, stated


def _mark(line: str) -> tuple[int, str]:
    """Where a line's last mark is, and what stands after it ("" where there is no mark)."""
    hashes = line.rfind("####")
    phrase = list(_PHRASE.finditer(line)) if "answer" in line.casefold() else []
    if phrase and phrase[-1].start() > hashes:
        place, said = phrase[-1].start(), line[phrase[-1].end() :]
        place = hashes if hashes >= 0 else place
    else:
        place, said = hashes, line[hashes + 4 :] if hashes >= 0 else ""
    said = re.sub(
        r"(?<!\.\w)\.$", "", _HOPE.sub("", _BECAUSE.sub("", said)).strip("* \r\n")
    )  # "at 6 a.m." keeps its full stop
    return place, said.strip("* ")


def _is_worked(text: str) -> bool:
    """Whether a text without a mark is a solution: of several lines, of sentences, or with GSM8K's calculations."""
    is_prose = len(text.split()) > 8 and _SENTENCES.search(text)
    is_prose = is_prose or (_SENTENCE.fullmatch(text) and re.search(r"\d", text))  # He has 15 apples.
    return bool(is_prose) or r"\boxed" in text or len(text.splitlines()) > 1 or "<<" in text or "####" in text
