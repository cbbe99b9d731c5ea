"""Which questions are one, and what becomes of them. Case and punctuation of prose may differ, no sign may."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.questions.folding import fold
from tasks.questions.rows import LeftOut, Question, as_rows

SIGNS = list("+-*/=<>^%|!()[]{}_&#~@") + list("−×÷±≤≥≠≈√∑∫∞∈∪∩²³½¼⁻₂°′π∠⊥∥→¬∧∨€£") + ["\\\\ ", "...", "f'", "5'"]
PIECE = st.one_of(st.integers(0, 99).map(str), st.sampled_from(SIGNS), st.sampled_from(string.ascii_letters))
OPERATORS = ["+", "-", "×", "÷", "/", "=", "<", ">", "≤", "≥", "≠", "±", "^", "%", "!", "|", "(", ")", "{", "[", "_"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Ann's  Twenty-five, NUTS?!", "anns twentyfive nuts"),
        ("1,000 nuts", "1000 nuts"),
        ("What is 12 × 4?", "what is 12*4"),
        ("12 − 4", "12 - 4"),
        ("12 ÷ 4", "12/4"),
        ("“Stop!” he said: go.", "stop he said go"),
        ("A train leaves. I see it", "a train leaves i see it"),
        ("James' nuts", "James nuts"),
        ("The cat", "the cat"),
        ("$x$ is \\pi", "x is pi"),
        ("x²", "x^2"),
        ("1½", "1 1/2"),
        ("Fill in: ____", "fill in __"),
        ("ﬁve １２", "five 12"),
    ],
)
def test_prose_is_the_same_whatever_its_case_and_punctuation(text: str, same: str) -> None:
    assert fold(text) == fold(same)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("3.5", "35"),
        ("3.5", "3 5"),
        (".5", "5"),
        ("x - 1", "x + 1"),
        ("x-y", "xy"),
        ("-5", "5"),
        ("12 × 4", "12 ÷ 4"),
        ("12 − 4", "12 4"),
        ("(8 - 3) - 2", "8 - (3 - 2)"),
        ("5!", "5"),
        ("n!", "n"),
        ("x ≤ 3", "x ≥ 3"),
        ("x²", "x2"),
        ("x¹²", "x^1 2"),
        ("x⁻¹", "x-1"),
        ("log₂8", "log28"),
        ("3½", "31/2"),
        ("f'(x)", "f(x)"),
        ("5' long", '5" long'),
        ("3:5", "3 5"),
        ("7:00", "700"),
        ("1, 2, ..., 9", "1, 2, 9"),
        ("f(1,2)", "f(12)"),
        ("x_1 2", "x_12"),
        ("A \\ B", "A B"),
        ("[ ( ] )", "( [ ] )"),
        ("F(2)", "f(2)"),
        ("F when", "f when"),
        ("side A", "side a"),
        ("A b", "a b"),
        ("alleles RR", "alleles Rr"),
        ("AaBb", "AABB"),
        ("pH", "ph"),
        ("a != b", "a = b"),
        ("5%", "5"),
        ("5 €", "5 £"),
        ("कि", "की"),
    ],
)
def test_what_has_a_meaning_keeps_questions_apart(text: str, other: str) -> None:
    assert fold(f"What is {text}?") != fold(f"What is {other}?")


@given(pieces=st.lists(PIECE, min_size=1, max_size=8), place=st.integers(0, 7), sign=st.sampled_from(OPERATORS))
def test_a_sign_more_is_another_question(pieces: list[str], place: int, sign: str) -> None:
    assume(sign != "_" or "_" not in pieces)
    changed = [*pieces[:place], sign, *pieces[place:]]
    assert fold(" ".join(pieces)) != fold(" ".join(changed))


@given(pieces=st.lists(PIECE, min_size=1, max_size=8), digit=st.integers(0, 9), other=st.integers(0, 9))
def test_another_digit_is_another_question(pieces: list[str], digit: int, other: int) -> None:
    assume(digit != other)
    assert fold(f"{' '.join(pieces)} {digit}") != fold(f"{' '.join(pieces)} {other}")


@given(pieces=st.lists(PIECE, min_size=1, max_size=8))
def test_white_space_at_the_ends_and_a_full_stop_are_no_difference(pieces: list[str]) -> None:
    text = " ".join([*pieces, "is it"])
    assert fold(text) == fold(f"  {text}. ") == fold(f"{text}?")


def test_a_question_of_signs_alone_has_a_key() -> None:
    assert fold("?!") != fold("?") == ""


# --- what becomes of those that are one


def test_duplicates_are_removed_and_told() -> None:
    rows = [
        Question("line 1", "What is 3 + 5?", "8"),
        Question("line 2", "what is  3+5", "8.0"),
        Question("line 3", "What is 3 - 5?", "-2"),
    ]
    loaded = as_rows(rows, "mine", "train")
    assert loaded.frame["answer"].to_list() == ["8", "-2"]
    assert loaded.notes == ("mine: 1 of 3 questions were duplicates and are left out (line 2)",)


def test_a_question_with_two_answers_is_left_out_and_both_lines_are_named() -> None:
    rows = [
        Question("line 1", "Which colour has the sky?", "blue"),
        Question("line 2", "What is 3 - 5?", "-2"),
        Question("line 3", "Which colour has the sky", "grey"),
        Question("line 4", "Which colour has the sky?", "blue"),
        Question("line 6", "What is 3 + 5?", "8"),
        Question("line 7", "What is 3 * 5?", "15"),
    ]
    loaded = as_rows([*rows, LeftOut("line 5", "no answer")], "mine", "train", ["a note"])
    assert loaded.frame["answer"].to_list() == ["-2", "8", "15"]
    assert loaded.notes == (
        "a note",
        "mine: 1 questions left out: no answer (line 5)",
        "mine: 1 questions left out: one question with several answers (line 1 says 'blue' and line 3 says 'grey' and "
        "line 4 says 'blue')",
    )
