"""Published sets as they are: the gold is the final answer, options are shown and named by letter, or it is refused."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.questions import Loaded, QuestionError, load_questions
from tasks.questions.values import parsed_list

Row = dict[str, Any]


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def read(*rows: Row, columns: Mapping[str, str] | None = None) -> Loaded:
        path = tmp_path / "set.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return load_questions(str(path), count=0, seed=1, columns=columns)

    return read


GSM8K = {"question": "How many?", "answer": "48/2 = <<48/2=24>>24.\n48+24 = <<48+24=72>>72.\n#### 72"}
META = {"type": "GSM_Rephrased", "query": "How many?", "response": "3 + 4 = 7.\n#### 7\nThe answer is: 7"}
META_MATH = {"query": "How much?", "response": r"So it is $\boxed{\frac{1}{2}}$. The answer is: \frac{1}{2}"}
NUMINA = {"source": "cn", "problem": "Find x.", "solution": r"$x=\boxed{4}$.", "messages": [{"role": "user"}]}
NUMINA_15 = {"problem": "Find x.", "solution": "x = 4.", "answer": "4", "problem_type": "Algebra"}
OPEN_MATH = {"problem": "Find x.", "expected_answer": "4", "generated_solution": r"So \boxed{4}."}
AQUA = {"question": "How far?", "options": ["A)21", "B)21.5", "C)22"], "rationale": "x\nANSWER:B", "correct": "B"}
MATHQA = {"Problem": "how far ?", "Rationale": "r", "options": "a ) 21 , b ) rs . 5 , c ) 22", "correct": "b"}
ARC = {"question": "Why?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}
ARC_NUMBERS = {"question": "Why?", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "2"}
ARC_FIRST = {"question": {"stem": "Why?", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]}}
OBQA = {"question_stem": "Why?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "A"}
HELLASWAG = {"ind": 3, "ctx": "He", "ctx_a": "H", "endings": ["runs.", "is. Up it goes.", "sat."], "label": "2"}
PIQA = {"goal": "Dry it.", "sol1": "Hang it.", "sol2": "Eat it.", "label": 1}
WINOGRANDE = {"sentence": "The _ fell.", "option1": "cup", "option2": "table", "answer": "1"}
SOCIAL = {"context": "He fell.", "question": "Why?", "answerA": "x", "answerB": "y", "answerC": "z", "label": "2"}
BOOLQ = {"question": "is it", "passage": "It is.", "answer": True}
MMLU = {"question": "3*3?", "subject": "maths", "choices": ["6", "7", "9", "12"], "answer": 2}
MMLU_CSV = {"question": "3*3?", "A": "6", "B": "7", "C": "9", "D": "12", "answer": "C"}
CMMLU = {"Question": "3*3?", "A": "6", "B": "9", "C": "10", "D": "12", "Answer": "B"}
MGSM = {"question": "How many?", "answer": None, "answer_number": 11, "equation_solution": None}
MMLU_PRO = {"question": "3*3?", "options": ["6", "7", "9"], "answer": "C", "answer_index": 2}
RACE = {"article": "It rained.", "question": "Why?", "options": ["x", "y"], "answer": "A"}
SVAMP = {"ID": "c-1", "Body": "A pack costs 145 dollars.", "Question": "How much?", "Answer": 145.0, "Type": "x"}
ASDIV = {"body": "He has 9.", "question": "How many?", "answer": "9 (apples)", "formula": "9=9"}
MAWPS = {"iIndex": 1, "sQuestion": "How many?", "lEquations": ["X=8"], "lSolutions": [8.0]}
DROP = {"passage": "It.", "question": "How many?", "answers_spans": {"spans": ["4", "4"], "types": ["number"] * 2}}
SQUAD = {"context": "It.", "question": "Who?", "answers": {"text": ["Ann"], "answer_start": [0]}}
BBH = {"input": "Which?\nOptions:\n(A) x\n(B) y", "target": "(B)"}
CHAT = {"messages": [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "So.\n#### 7"}]}
REPLY = CHAT["messages"][1:]
SHARE_GPT = {"conversations": [{"from": "human", "value": "How?"}, {"from": "gpt", "value": r"So \boxed{7}."}]}
DAPO = {"prompt": [{"role": "user", "content": "How many?"}], "reward_model": {"ground_truth": "34"}}
WRAPPED = (
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.\n\nHow many\n\nin all?\n\n"
    'Remember to put your answer on its own line after "Answer:".'
)
TABMWP: Row = {"table_title": "Sales", "table": "day | cups\nMon | 5", "question": "How many?", "answer": "5"}
TABMWP |= {"choices": None, "unit": None, "solution": "It is 5."}
SCIENCE = {"hint": "It rained.", "question": "Why?", "choices": ["x", "y"], "answer": 1, "solution": "s"}
OLYMPIAD = {"question": "How many?", "solution": ["First way.", "Second way."], "final_answer": ["$7$"]}


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        (GSM8K, "How many?", "72"),
        (META, "How many?", "7"),
        (META_MATH, "How much?", r"\frac{1}{2}"),
        (NUMINA, "Find x.", "4"),
        (NUMINA_15, "Find x.", "4"),
        (OPEN_MATH, "Find x.", "4"),
        ({"problem": "Find x.", "expected_answer": "4"}, "Find x.", "4"),
        (AQUA, "How far?\nA. 21\nB. 21.5\nC. 22", "B"),
        (MATHQA, "how far ?\nA. 21\nB. rs . 5\nC. 22", "B"),
        (ARC, "Why?\nA. x\nB. y", "B"),
        (ARC_NUMBERS, "Why?\nA. x\nB. y\nC. z", "B"),
        (ARC_FIRST | {"answerKey": "B"}, "Why?\nA. x\nB. y", "B"),
        (OBQA, "Why?\nA. x\nB. y", "A"),
        (HELLASWAG, "He\nA. runs.\nB. is. Up it goes.\nC. sat.", "C"),
        (PIQA, "Dry it.\nA. Hang it.\nB. Eat it.", "B"),
        (WINOGRANDE, "The _ fell.\nA. cup\nB. table", "A"),
        (SOCIAL, "He fell.\nWhy?\nA. x\nB. y\nC. z", "B"),
        (BOOLQ, "It is.\nis it", "yes"),
        (BOOLQ | {"answer": "false"}, "It is.\nis it", "no"),
        ({"question": "is it", "meta": {"passage": "It is."}, "answer": "yes"}, "It is.\nis it", "yes"),
        (MMLU, "3*3?\nA. 6\nB. 7\nC. 9\nD. 12", "C"),
        (MMLU_CSV, "3*3?\nA. 6\nB. 7\nC. 9\nD. 12", "C"),
        (MMLU_CSV | {"E": "10", "answer": "E"}, "3*3?\nA. 6\nB. 7\nC. 9\nD. 12\nE. 10", "E"),
        (CMMLU, "3*3?\nA. 6\nB. 9\nC. 10\nD. 12", "B"),
        (MGSM, "How many?", "11"),
        ({"question": "a?", "answer": "x &lt; 4"}, "a?", "x < 4"),
        ({"question": "a\te?\n\ne = 1", "answer": "1"}, "a\te?\n\ne = 1", "1"),
        (MMLU_PRO, "3*3?\nA. 6\nB. 7\nC. 9", "C"),
        (RACE, "It rained.\nWhy?\nA. x\nB. y", "A"),
        (SVAMP, "A pack costs 145 dollars.\nHow much?", "145"),
        (ASDIV, "He has 9.\nHow many?", "9 (apples)"),
        (MAWPS, "How many?", "8"),
        (DROP, "It.\nHow many?", "4"),
        (SQUAD, "It.\nWho?", "Ann"),
        (BBH, BBH["input"], "(B)"),
        (CHAT, "How many?", "7"),
        (SHARE_GPT, "How?", "7"),
        ({"messages": [{"role": "system", "content": "Be brief."}, *CHAT["messages"]]}, "How many?", "7"),
        (DAPO, "How many?", "34"),
        (DAPO | {"prompt": [{"role": "user", "content": WRAPPED}]}, "How many\n\nin all?", "34"),
        (OLYMPIAD, "How many?", "$7$"),
        (TABMWP, "Sales\nday | cups\nMon | 5\nHow many?", "5"),
        (SCIENCE, "It rained.\nWhy?\nA. x\nB. y", "B"),
        (SCIENCE | {"hint": ""}, "Why?\nA. x\nB. y", "B"),
        (CHAT | {"question": "How much?", "answer": "5"}, "How much?", "5"),
        ({"input": "<s>How much?", "target": "6", "question": "How much?", "answer": "5"}, "How much?", "5"),
        ({"problem": "Long?", "solution": "6", "question": "How much?", "answer": "5"}, "How much?", "5"),
        (DAPO | {"reward_model": {"ground_truth": '["34"]'}}, "How many?", "34"),
    ],
)
def test_a_published_set_is_read_without_a_mapping(load: Any, row: Row, question: str, answer: str) -> None:
    assert load(row).frame.select("question", "answer").row(0) == (question, answer)


@pytest.mark.parametrize(
    ("written", "members"),
    [
        ("['72' '73']", ["72", "73"]),  # numpy's
        ("['2'\n '-2']", ["2", "-2"]),
        (str(["Brien", "O'Brien"]), ["Brien", "O'Brien"]),
        ('[\n "a",\n "b"\n]', ["a", "b"]),
        ("[ 'a' ]", ["a"]),
        ("['a'] + ['b']", None),
        ("[b'a']", None),
        ("['a", None),
        ("['a', 5]", None),
        ("['a', ['b']]", None),
        ('["a", ' + "[" * 9999 + '"]', None),
    ],
)
def test_a_list_of_texts_may_be_written_as_json_python_and_numpy_do(written: str, members: list[str] | None) -> None:
    assert parsed_list(written) == (written if members is None else members)


def test_several_answers_in_a_text_are_not_one(load: Any) -> None:
    one = {"question": "How much?", "answer": "5"}
    loaded = load(one, {"question": "Which?", "answer": "['2' '-2']"})
    assert loaded.frame["answer"].to_list() == ["5"]
    assert any("the answer is a list of several" in note for note in loaded.notes)


def test_a_note_says_as_what_a_set_is_read(load: Any) -> None:
    assert load(SVAMP).notes == ("the columns are those of SVAMP (question: Body + Question; answer: Answer)",)
    assert load({"question": "How many?", "answer": "7"}).notes == ()


def test_what_is_mapped_counts_more_than_what_is_known(load: Any) -> None:
    mapped = load(BOOLQ | {"answer": "yes"}, columns={"question": "question", "answer": "answer"})
    assert mapped.frame["question"].item() == "is it"
    assert mapped.notes == ()
    mapped = load(BOOLQ | {"key": "no"}, columns={"question": "question", "answer": "key"})
    assert mapped.frame.select("question", "answer").row(0) == ("is it", "no")
    mapped = load(BOOLQ | {"topic": "law", "answer": "yes"}, columns={"kind": "topic"})
    assert mapped.frame.select("question", "kinds").row(0) == ("It is.\nis it", ["law"])


def test_columns_are_joined_and_members_of_columns_found(load: Any) -> None:
    row = {"Body": " A pack costs 145. ", "ask": {"text": "How much?", "topic": "money"}, "a + b": 145, "empty": None}
    columns = {"question": "Body + empty + ask.text", "answer": "a + b", "kind": "ask.topic"}
    assert load(row, columns=columns).frame.select("question", "answer", "kinds").row(0) == (
        "A pack costs 145.\nHow much?",
        "145",
        ["money"],
    )


# --- golds


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("72", "72"),
        ("#### 72", "72"),
        ("It is 3+4.\n#### 1,234", "1234"),
        ("It is 72 #### 72", "72"),
        ("#### Step 1\nAdd.\n#### 7", "7"),
        (r"\boxed{72}", "72"),
        (r"So $x = \boxed{\frac{1}{2}}$, or \boxed{\dfrac12}.", r"\dfrac12"),
        ("Add them. The answer is: 110", "110"),
        ("Add them. So the answer is (B).", "(B)"),
        ("Add them.\n\n**Answer:** 72", "72"),
        ("Add them.\nFinal Answer: The final answer is $72$. I hope it is correct.", "$72$"),
        ("<think>It is 7 or 8.</think>\n<answer> 8 </answer>", "8"),
        ("3.50", "3.50"),
        ("145.0", "145"),
        ("#### 7\n\nThe answer is: 7", "7"),
        ("####72", "72"),
        ("#### The answer is 72", "72"),
        ("The answer is #### 72", "72"),
        ("The answer is: 5\nNo, wait, the answer is: 8", "8"),
        ("**Answer: 72**", "72"),
        ("The answer is **72.**", "72"),
        ("He gets up. The answer is 6 a.m.", "6 a.m."),
        ("The answer is **72** .", "72"),
        ("<answer>7</answer> or rather <answer>8</answer>", "8"),
        (r"So it is \fbox{7}", "7"),
        (r"So the answer is $\boxed{4}$ apples.", "4"),
        ("It is so. No more", "It is so. No more"),
        ("Here are eight words now. And no more", "Here are eight words now. And no more"),
        ("one long answer that is not of many sentences", "one long answer that is not of many sentences"),
        ("x" * 1000, "x" * 1000),
        ("St. John's College", "St. John's College"),
        ("at 6 a.m.", "at 6 a.m."),
        (r"So it is $\boxed 4$.", "4"),
        (r"So it is $\boxed4$.", "4"),
        (r"So it is $\boxed 42$", "42"),
        ("The answer is 4, because 2+2 is 4.", "4"),
        ("Nobody has any.", "Nobody has any."),
        ("<think>hm</think>5", "5"),
        ("It may be \\boxed{5}.\n</think>\nThe answer is 4.", "4"),
        ("<|begin_of_thought|>8?<|end_of_thought|><|begin_of_solution|>The answer is 9<|end_of_solution|>", "9"),
        ("8<|end_of_solution|>", "8"),
        ("['5']", "5"),
        ("The answer is not so clear. The answer is 5.", "5"),
        (r"\{1, 2\}", r"\{1, 2\}"),
    ],
)
def test_the_gold_is_the_final_answer(load: Any, text: str, answer: str) -> None:
    assert load({"question": "How many?", "answer": text}).frame["answer"].item() == answer


def test_a_file_in_the_form_of_gsm8k_is_read_as_gsm8k_is(load: Any) -> None:
    assert load({"question": "What percent is it?", "answer": "#### 60"}).frame["answer"].item() == r"60\%"


def test_the_solution_is_kept_apart(load: Any) -> None:
    assert load(GSM8K).frame["solution"].item() == "48/2 = <<48/2=24>>24.\n48+24 = <<48+24=72>>72."
    assert load(NUMINA).frame["solution"].item() == NUMINA["solution"]
    assert load(META).frame["solution"].item() == "3 + 4 = 7."
    assert load(META_MATH).frame["solution"].item() == META_MATH["response"]
    for text in ("Add.\nIt is 7 #### 7", "Add.\nIt is 7 #### The answer is 7"):
        assert load({"question": "a?", "answer": text}).frame["solution"].item() == "Add.\nIt is 7"
    assert load(OPEN_MATH).frame["solution"].item() == OPEN_MATH["generated_solution"]
    assert load({"question": "a?", "answer": r"$\boxed{72}$"}).frame["solution"].item() is None
    assert load({"question": "a?", "answer": "The answer is: 72"}).frame["solution"].item() is None
    assert load(OLYMPIAD).frame["solution"].item() == "First way.\n\nSecond way."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("First add 3 and 4 which is 7. Then take 2. So 5 are left.", "no final answer"),
        ("3+4 = 7\nso 7", "no final answer"),
        ("He has 15 apples.", "no final answer"),
        ("Therefore, there are 15 apples left.", "no final answer"),
        (r"So it is $\boxed \frac12$.", "no final answer"),
        ("It is 3+4 = <<3+4=7>>7", "no final answer"),
        ("#### Conclusion\nSeven are left", "no final answer"),
        ("x" * 1001, "no final answer"),
        ("proof", "no final answer"),
        ("notfound", "no final answer"),
        ("Not Found", "no final answer"),
        ("####", "no final answer"),
        ("<think>maybe \\boxed{5}</think>\nThe result is **4**.", "no final answer"),
        ("The answer is 5.\nThe answer is not 6.", "no final answer"),
        *((text, "no final answer") for text in ("?", "N/A", "None", "unknown", "see below", "{'value': 5}")),
        ("Here are nine words in all. And no more", "no final answer"),
        ("#### 7\n\nThe answer is: 8", "two answers that differ"),
        (r"So it is \boxed{}.", "empty"),
        (rf"\boxed{{{'1' * 5000}.5}} or \boxed{{{'2' * 5000}.5}}", "no final answer"),
        (r"\boxed{1} or \boxed{2}", "several .* that differ"),
        (r"So it is \boxed{1}. The answer is: 2", "two answers that differ"),
        ("7\n#### 7\nThe answer is: 8", "two answers that differ"),
    ],
)
def test_a_solution_without_one_final_answer_is_left_out_by_line(load: Any, text: str, why: str) -> None:
    with pytest.raises(QuestionError, match=rf"no question in split.*{why}.*line 1"):
        load({"question": "How many?", "answer": text})
    loaded = load({"question": "One?", "answer": "1"}, {"question": "How many?", "answer": text})
    assert loaded.frame["question"].to_list() == ["One?"]
    assert "1 questions left out" in loaded.notes[0]
    assert "set.jsonl, line 2" in loaded.notes[0]


def test_a_column_that_mostly_holds_no_final_answers_is_the_wrong_one(load: Any) -> None:
    prose = "First add 3 and 4 which is 7. Then take 2. So 5 are left."
    rows = [{"question": f"{n}?", "answer": prose if n < 3 else "5"} for n in range(5)]
    with pytest.raises(QuestionError, match=r"most questions cannot be asked.*3 questions left out.*line 1.*line 2"):
        load(*rows)


# --- options


def choice(choices: Any, answer: Any, question: str = "Which?") -> Row:
    return {"question": question, "choices": choices, "answer": answer}


@pytest.mark.parametrize(
    ("choices", "answer", "shown", "letter"),
    [
        (["x", "y"], "B", "A. x\nB. y", "B"),
        (["x", "y"], "(b)", "A. x\nB. y", "B"),
        (["x", "y"], "B.", "A. x\nB. y", "B"),
        (["x", "y"], "B) y", "A. x\nB. y", "B"),
        (["x", "y"], "y", "A. x\nB. y", "B"),
        ({"first": "x", "second": "y"}, "B", "A. x\nB. y", "B"),
        (["A) x", "y"], "B", "A. A) x\nB. y", "B"),
        (["Yes", "No"], "NO", "A. Yes\nB. No", "B"),
        ([f"x{n}" for n in range(26)], "Z", "\n".join(f"{chr(65 + n)}. x{n}" for n in range(26)), "Z"),
        (["Yes", "No"], "no", "A. Yes\nB. No", "B"),
        (["x", "y"], "It is so. Thus the answer is (B).", "A. x\nB. y", "B"),
        (["x", "y"], 0, "A. x\nB. y", "A"),
        (["x", "y"], 1.0, "A. x\nB. y", "B"),
        (["x", "y"], "1", "A. x\nB. y", "B"),
        (["6", "7", "9"], 9, "A. 6\nB. 7\nC. 9", "C"),
        ([6, 7, 9.0], "9", "A. 6\nB. 7\nC. 9", "C"),
        (["Rr", "RR", "rr"], "RR", "A. Rr\nB. RR\nC. rr", "B"),
        (["(A) x", "(B) y"], "A", "A. x\nB. y", "A"),
        (["a. x", "b. y"], "b", "A. x\nB. y", "B"),
        (["1. x", "2. y"], 1, "A. x\nB. y", "A"),
        (["1:2", "2:3", "3:4"], "C", "A. 1:2\nB. 2:3\nC. 3:4", "C"),
        (["1.5", "2.5"], "B", "A. 1.5\nB. 2.5", "B"),
        (["A. Lincoln", "J. Adams"], "B", "A. A. Lincoln\nB. J. Adams", "B"),
        ({"A": "x", "B": "y", "C": None}, "B", "A. x\nB. y", "B"),
        ({"text": ["x", "y"], "label": ["F", "G"]}, "G", "A. x\nB. y", "B"),
        ([{"label": "A", "text": "x"}, {"label": "B", "text": "y"}], "B", "A. x\nB. y", "B"),
        ([{"id": "a", "content": "x"}, {"id": "b", "content": "y"}], "b", "A. x\nB. y", "B"),
        ('["x", "y"]', "B", "A. x\nB. y", "B"),
        ("['x', 'y']", "B", "A. x\nB. y", "B"),
        ("A) x B) y", "B", "A. x\nB. y", "B"),
    ],
)
def test_options_are_lettered_and_the_gold_is_a_letter(
    load: Any, choices: Any, answer: Any, shown: str, letter: str
) -> None:
    frame = load(choice(choices, answer)).frame
    assert frame.select("question", "answer", "is_exact").row(0) == (f"Which?\n{shown}", letter, True)


@pytest.mark.parametrize(
    ("choices", "option"),
    [
        (["in June", "in May"], "in May"),
        (["12", "7"], "7"),
        (["A) in June", "B) in May"], "in May"),
        (["A", "B"], None),  # of an answer "A" nobody would know which it means
        (["a", "an"], None),
        (["(B)", "neither"], None),
        (["$B$", "$A$"], None),  # points: of an answer "A" the check would say that it is option B
        ([r"\text{C}", "D or E"], None),
        (["~Mp", "Mp"], None),  # the check takes ~ for LaTeX's blank
        (["~Mp", "Lq"], "Lq"),
    ],
)
def test_the_words_of_the_right_option_are_kept_where_none_is_a_letter(
    load: Any, choices: Any, option: str | None
) -> None:
    assert load(choice(choices, "B")).frame["option"].to_list() == [option]


def test_a_question_that_lost_an_option_is_left_out_of_its_set(load: Any) -> None:
    """One of MMLU's 14,042 has #NAME? there, and is no reason to refuse the others."""
    asked = load(choice(["x", "y"], "A"), choice(["x", "#NAME?"], "A", "b?"), choice(["x", "y"], "B", "c?"))
    assert asked.frame["answer"].to_list() == ["A", "B"]
    [note] = asked.notes
    assert "1 questions left out: an option is missing or empty" in note
    assert "line 2" in note


def test_how_golds_name_options_is_decided_for_the_whole_file(load: Any) -> None:
    from_0 = load(choice(["2", "4", "8"], 2, "a?"), choice(["2", "4", "8"], 0, "b?"))
    assert from_0.frame["answer"].to_list() == ["C", "A"]
    assert from_0.notes == ("the answers name their options by an index from 0",)
    from_1 = load(choice(["x", "y", "z"], 1, "a?"), choice(["x", "y", "z"], 3, "b?"))
    assert from_1.frame["answer"].to_list() == ["A", "C"]
    assert from_1.notes == ("the answers name their options by an index from 1",)
    by_text = load(choice(["1", "2", "4"], 2, "a?"), choice(["1", "2", "4"], 4, "b?"))
    assert by_text.frame["answer"].to_list() == ["B", "C"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([choice(["x", "y"], "C")], r"line 1: the answer 'C' is none of the options A to B"),
        ([choice(["x", "y"], "B"), choice(["x", "y"], "z", "b?")], r"line 2: the answer 'z' is none .* by its label"),
        ([choice({"text": ["x", "y"], "label": ["F", "G"]}, "B")], "line 1: the answer 'B' is none of the options"),
        ([choice(["x", "y"], "It may be x. Or it may be y. Who knows what it is?")], "line 1: the answer 'It may be"),
        ([choice(["x", "y"], "A) y")], r"line 1: the answer 'A\) y' is none of the options"),
        ([choice(["x", "y"], 0), choice(["x", "y"], 2, "b?")], r"line \d: the answer '\d' is none of the options"),
        ([choice(["x", "y"], -1)], "line 1: the answer '-1' is none"),
        ([choice(["1", "2", "3"], 2)], r"line 1: the answer '2' is option B by its text and C by an index from 0"),
        ([choice(["B", "A", "O"], "A")], r"line 1: the answer 'A' is option A by its label and B by its text"),
        ([choice(None, "A")], "line 1: the answer is A and there are no choices"),
        ([choice("xy", "A")], r"line 1: the choices are a text \('xy'\)"),
        ([choice(["x", None], "A")], r"left out: an option is missing or empty .*line 1"),
        ([choice(["x", " "], "A")], r"left out: an option is missing or empty .*line 1"),
        ([choice([f"{n}x" for n in range(27)], "A")], "line 1: there are 27 choices"),
        ([choice(7, "A")], "line 1: the choices are 7, expected a list"),
        ([choice(["x"], "A")], r"left out: there is but one option .*line 1"),
        ([choice(["x", "y", "x"], "A")], r"left out: another option says the same as the right one .*line 1"),
    ],
)  # fmt: skip
def test_options_that_leave_a_doubt_are_refused_by_line(load: Any, rows: list[Row], message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        load(*rows)


@pytest.mark.parametrize("choices", [None, [], {}, ""])
def test_mapped_choices_must_be_there(load: Any, choices: Any) -> None:
    with pytest.raises(QuestionError, match="line 1: "):
        load({"question": "Which?", "opts": choices, "answer": "yes"}, columns={"choices": "opts"})
    assert load({"question": "Which?", "choices": choices, "answer": "yes"}).frame["answer"].item() == "yes"


def test_options_without_an_answer_are_a_row_without_an_answer(load: Any) -> None:
    with pytest.raises(QuestionError, match=r"1 row has a question but no answer: .*line 2"):
        load(choice(["x", "y"], "A"), choice(["x", "y"], "", "b?"))


def test_a_letter_may_name_an_option_that_the_question_shows(load: Any) -> None:
    row = {"question": "Which? A) x B) y", "choices": None, "answer": "B"}
    assert load(row).frame.select("question", "answer").row(0) == ("Which? A) x B) y", "B")


def test_wrong_options_may_repeat(load: Any) -> None:
    assert load(choice(["x", "y", "y"], "A")).frame["answer"].item() == "A"


def test_options_that_stand_in_the_question_are_not_shown_twice(load: Any) -> None:
    question = "Which?\nOptions:\n(A) x\n(B) y"
    assert load(choice(["x", "y"], "B", question)).frame["question"].item() == question
    assert load(choice(["x", "z"], "B", question)).frame["question"].item() == f"{question}\nA. x\nB. z"


def test_an_index_of_the_options_that_a_question_shows_is_no_answer_to_it(load: Any) -> None:
    question = "What is 2 + 3?\nA. 4\nB. 5\nC. 6"
    with pytest.raises(QuestionError, match=r"none of the options shown .*line 1"):
        load({"question": question, "answer": 1})
    assert load({"question": question, "answer": "5"}).frame["answer"].item() == "5"


def test_letters_before_the_options_count_in_any_order(load: Any) -> None:
    asked = load(choice(["B) x", "A) y", "C) z"], "A")).frame
    assert asked.select("question", "answer").row(0) == ("Which?\nA. x\nB. y\nC. z", "B")


@pytest.mark.parametrize("gold", ["Monsters, Inc", "C", "(C)"])
def test_a_gold_that_is_none_of_the_options_in_the_question_is_left_out(load: Any, gold: str) -> None:
    with pytest.raises(QuestionError, match=r"none of the options shown .*line 1"):
        load({"question": "Which?\nOptions:\n(A) Monsters\n(B) Inc", "answer": gold})


def test_a_question_about_an_image_is_left_out_by_line(load: Any) -> None:
    rows = [{"question": f"{n}?", "answer": n, "image": {"bytes": "x"} if n == 1 else None} for n in range(3)]
    loaded = load(*rows)
    assert loaded.frame["answer"].to_list() == ["0", "2"]
    assert "1 questions left out: it has an image" in loaded.notes[0]
    assert "set.jsonl, line 2" in loaded.notes[0]


@pytest.mark.parametrize(
    "seen",
    [{"image_path": "1.png"}, {"img": "iVBOR"}, {"questionFigure": {"bytes": "x"}}, {"decoded_image_2": "x"}]
    + [{"question": f"What is x in {shown}?"} for shown in ("![](https://x/1.jpg)", "<image 1>", "<image>")],
)
def test_a_picture_is_known_by_the_name_of_its_column_and_by_its_mark(load: Any, seen: Row) -> None:
    loaded = load({"question": "a?", "answer": 1} | seen, {"question": "Imagine <x>!", "answer": 2, "has_image": False})
    assert loaded.frame["answer"].to_list() == ["2"]
    assert "1 questions left out: it has an image" in loaded.notes[-1]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"error_type": "wrong_groundtruth", "correct_answer": "1"}, "its error_type is 'wrong_groundtruth'"),
        ({"problem_is_valid": "No"}, "its problem_is_valid is 'No'"),
        ({"is_correct": False}, "its is_correct is False"),
    ],
)
def test_a_row_that_says_that_it_is_wrong_is_left_out_in_its_words(load: Any, said: Row, why: str) -> None:
    good = {"error_type": "ok", "correct_answer": None, "problem_is_valid": "Yes", "is_correct": True}
    loaded = load({"question": "a?", "answer": 1} | said, {"question": "b?", "answer": 2} | good)
    assert loaded.frame["answer"].to_list() == ["2"]
    assert f"1 questions left out: {why}" in loaded.notes[-1]


def test_letters_are_no_golds_where_the_options_are_not_mapped(load: Any) -> None:
    row = {"q": "Which?", "A": "x", "B": "y", "key": "B"}
    with pytest.raises(QuestionError, match="line 1: the answer is B and there are no choices"):
        load(row, columns={"question": "q", "answer": "key"})
    assert load(row, columns={"question": "q", "answer": "key", "choices": "A + B"}).frame["answer"].item() == "B"


def test_a_question_of_parts_is_no_question_of_options(load: Any) -> None:
    row = {"question": "(A) Let x = 1.\n(B) Let y = 2.\nWhat is x + y?", "answer": "3"}
    assert load(row).frame["answer"].item() == "3"


def test_the_right_answer_of_a_set_with_distractors_has_no_place_of_its_own(load: Any) -> None:
    wrong = {f"distractor{n}": f"wrong {n}" for n in (1, 2, 3)}
    rows = [{"question": f"Question {n}?", "correct_answer": "right", "support": "", **wrong} for n in range(40)]
    frame = load(*rows).frame
    assert set(frame["answer"]) == set("ABCD")
    assert all(f"{letter}. right" in question for question, letter in frame.select("question", "answer").iter_rows())
    assert load(*rows).frame.equals(frame)


# --- refused


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (CHAT | {"messages": CHAT["messages"] * 2}, "line 1: the chat has 4 turns"),
        ({"messages": [{"role": "user", "content": "a"}]}, "line 1: the chat has 1 turns"),
        ({"messages": ["a", "b"]}, "line 1: the chat has 2 turns"),
        ({"question": "a?", "answer": True}, "line 1: the answer is True: write the word"),
        ({"question": "a?", "answer": {"value": 1}}, r"the answer is a dict \(.*\), expected one text or number"),
        (DROP | {"answers_spans": {"spans": ["4", "5"]}}, "the answer is a list of several .*line 1"),
        ({"theory": "Cats sleep.", "question": "a?", "answer": "True"}, r"line 1: .*'theory' .*'theory \+ question'"),
        ({"question": "a?", "answer": "null"}, "a question but no answer: .*line 1"),
        ({"Question": "He has N_00 nuts and N_01 more?", "Numbers": "3 4", "Answer": 7}, "line 1: .*placeholders"),
        ({"prompt": "def f():", "canonical_solution": "    pass", "test": "x"}, "there is no column 'question'"),
        ({"Question": "a?", "Options": ["x", "y"], "Answer": "B"}, "the column 'Options' seems to hold options"),
        ({"q": "a?", "a": 1}, r"""columns are 'q', 'a'. Map the question .*\{"question": "Body \+ Question"\}"""),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_way_out(load: Any, row: Row, message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        load(row)


def test_the_advice_fits_one_row_among_many(load: Any) -> None:
    rows = [{"question": f"{n}?", "answer": n} for n in range(3)]
    for place in range(3):
        lacking = [row if number != place else {"question": "x?"} for number, row in enumerate(rows)]
        with pytest.raises(QuestionError, match=rf"line {place + 1}: there is no 'answer' .* which other rows have"):
            load(*lacking)


def test_one_row_of_several_answers_does_not_lose_the_others(load: Any) -> None:
    several = DROP | {"question": "Which?", "answers_spans": {"spans": ["a", "b"]}}
    loaded = load(DROP, several, DROP | {"question": "How much?"})
    assert loaded.frame["question"].to_list() == ["It.\nHow many?", "It.\nHow much?"]
    assert re.search(r"1 questions left out: the answer is a list of several .*line 2", loaded.notes[-1])


def test_what_a_question_is_asked_of_may_be_left_out_by_a_mapping(load: Any) -> None:
    row = {"theory": "Cats sleep.", "question": "Do cats sleep?", "answer": "True"}
    assert load(row, columns={"question": "question"}).frame["question"].item() == "Do cats sleep?"
    assert load(row, columns={"question": "theory + question"}).frame["question"].item().startswith("Cats sleep.")


@pytest.mark.parametrize("name", ["context", "Passage", "narrative", "input", "background"])
def test_what_a_question_is_asked_of_is_never_dropped(load: Any, name: str) -> None:
    row = {"question": "How many has he?", "expected_answer": "5", name: "Tom has 5."}
    with pytest.raises(QuestionError, match=rf"line 1: .*'{name}' .*'{name} \+ question', or to 'question' alone"):
        load(row)
    assert load(row | {name: "Say it. How many has he?"}).frame["question"].item() == "How many has he?"  # a copy


def test_texts_that_differ_and_are_not_used_are_told_and_refused_where_they_are_longer(load: Any) -> None:
    rows = [
        {"question": f"How many has number {n}?", "answer": n, "town": f"town {n}", "of": "the set"} for n in range(3)
    ]
    assert load(*rows).notes == ("columns that are not used: 'town'",)
    longer = [row | {"setting": f"Number {row['answer']} went out and has as many as he can count."} for row in rows]
    with pytest.raises(QuestionError, match=r"'setting' .*'setting \+ question'"):
        load(*longer)
    assert load(*longer, columns={"question": "question"}).notes == ()
    reasoned = [
        row | {"rationale": f"Number {row['answer']} went out and has as many as he can count."} for row in rows
    ]
    assert load(*reasoned).notes == ("columns that are not used: 'rationale', 'town'",)


def test_a_system_prompt_that_differs_from_row_to_row_belongs_to_the_question(load: Any) -> None:
    def chat(system: str, asked: str) -> Row:
        return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": asked}, *REPLY]}

    assert load(chat("Be brief.", "2+5?"), chat("Be brief.", "3+4?")).frame.height == 2
    with pytest.raises(QuestionError, match=r"line 2: the system prompt is another .*'Use base 9.'"):
        load(chat("Use base 8.", "2+5?"), chat("Use base 9.", "3+4?"))
    rows = [DAPO | {"prompt": [{"role": "system", "content": f"Base {n}."}, *DAPO["prompt"]]} for n in (8, 9)]
    with pytest.raises(QuestionError, match="line 2: the system prompt is another"):
        load(*rows)


def test_only_a_question_and_its_options_come_of_several_columns(load: Any) -> None:
    with pytest.raises(QuestionError, match="the answer is one column"):
        load({"question": "a?", "x": 1, "y": 2}, columns={"answer": "x + y"})


def test_a_huge_row_makes_a_short_message(load: Any) -> None:
    with pytest.raises(QuestionError) as refused:
        load({f"{'column' * 50}{number}": "x" * 500 for number in range(5_000)})
    assert len(str(refused.value)) < 2_000
    with pytest.raises(QuestionError) as refused:
        load({"question": "a?", "answer": {str(number): number for number in range(50_000)}})
    assert len(str(refused.value)) < 500
