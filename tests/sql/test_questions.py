"""What worked questions and views answer where a round is more than the plainest: campaigns, lessons and trees of one
question side by side, searches that roll out, rows that are asked for twice. Each of these once was counted wrongly."""

from pathlib import Path
from typing import Any

import pytest

from infra.warehouse import SQL, ParquetSource, ask, build, check
from tests.sql.handmade import (
    EOS,
    HINTED,
    NODES,
    ROUND,
    Row,
    evaluation,
    expanded,
    imitation,
    model,
    node,
    opinion,
    parquet,
    plan,
    sample,
    solution,
    tree,
)

Tables = dict[str, list[Row]]


def made(folder: Path, tables: Tables, campaigns: tuple[str, ...] = ("demo",), round: int = 1) -> Path:
    """A warehouse of a round, or of the same one in each of several campaigns."""
    sources = parquet(folder, tables, round)
    path = folder / "factory.duckdb"
    build(path, {table: [ParquetSource(one, round, of[0].path) for one in campaigns] for table, of in sources.items()})
    return path


def answer(path: Path, name: str) -> list[dict[str, Any]]:
    (query,) = (SQL / "queries").glob(f"{name}_*.sql")
    return ask(path, query.read_text()).records()


def in_two_lessons(tables: Tables) -> Tables:
    again = [row | {"lesson": "more"} for row in tables["preferences"]]
    return tables | {"preferences": tables["preferences"] + again}


@pytest.mark.parametrize("name", ["01", "02", "04", "05", "07", "08"])
def test_campaigns_are_answered_one_by_one(name: str, tmp_path: Path) -> None:
    alone = answer(made(tmp_path, ROUND, ("alpha",)), name)
    assert alone
    both = answer(made(tmp_path, ROUND, ("alpha", "beta")), name)
    assert [row for row in both if row["campaign"] == "alpha"] == alone
    assert len(both) == 2 * len(alone)


@pytest.mark.parametrize("name", ["04", "06", "17", "18"])
def test_a_pair_of_two_lessons_is_one(name: str, tmp_path: Path) -> None:
    alone = answer(made(tmp_path, ROUND), name)
    assert alone
    assert answer(made(tmp_path, in_two_lessons(ROUND)), name) == alone


def test_a_gap_is_that_of_the_loss(tmp_path: Path) -> None:
    """Of a solution's pair a third of the difference of Q, as everywhere else."""
    gaps = {row["kind"]: row["mean_gap"] for row in answer(made(tmp_path, ROUND), "01")}
    assert gaps == {"plan": 1.0, "solution": 0.6}


def test_a_question_of_several_trees_is_one_question(tmp_path: Path) -> None:
    trees = [tree("a", "q1", "budget"), tree("b", "q1", "exhausted"), tree("c", "q3", "skipped")]
    trees = [row | {"expansions": 1, "nodes": 1, "visits": 1, "value": 0.0} for row in trees]
    preferences = [row | {"tree_id": "a"} for row in ROUND["preferences"]]
    nodes = [row | {"tree_id": "a"} for row in NODES if row["tree_id"] == "t1"]
    tables = {"questions": ROUND["questions"], "trees": trees, "nodes": nodes, "preferences": preferences}
    (row,) = answer(made(tmp_path, tables), "04")
    assert (row["questions"], row["skipped"], row["without_pairs"], row["pairs"]) == (2, 1, 1, 2)


def test_a_useful_pair_costs_what_trees_cost_that_are_learnt_from(tmp_path: Path) -> None:
    (row,) = answer(made(tmp_path, ROUND), "17")
    assert (row["learning_tokens"], row["useful_pairs"], row["tokens_per_useful_pair"]) == (80, 2, 40)


@pytest.mark.parametrize(
    ("few", "view"),
    [
        ("select {0}.* from {0} join (values (1), (2)) on true", "preferences pairs"),
        ("select {0}.* from {0} join (values (1), (2)) on true", "imitations imitated_paths"),
        ("select {0}.* from {0} join (values (1), (2)) on true where tree_id = 't1'", "nodes tree_paths"),
    ],
)
def test_rows_that_are_asked_for_twice_keep_their_words(few: str, view: str, warehouse: Path) -> None:
    table, of = view.split()
    doubled = f"with few as ({few.format(table)}) from {of}_of(few) order by all"
    rows = few.replace("join (values (1), (2)) on true", "").format(table)
    once = f"with few as ({rows}) from {of}_of(few) order by all"
    assert ask(warehouse, doubled) == ask(warehouse, once)


ROLLED: Tables = {
    "questions": ROUND["questions"],
    "trees": [
        tree("s1", "q1", "finished", value=0.6, visits=5, is_solved=True),
        tree("s2", "q3", "finished", value=1.0, visits=4, is_solved=True),
    ],
    "nodes": [
        node("s1", 0, None, 0, "root", "?", **expanded(0.2, 5)),
        node("s1", 1, 0, 1, "plan", plan(1, "Add them."), **expanded(0.6, 5, value=0.9)),
        node("s1", 2, 1, 2, "solution", solution("6"), reward=-1.0),
        node("s2", 0, None, 0, "root", "?", **expanded(1.0, 4)),
        node("s2", 1, 0, 1, "plan", plan(1, "Add them."), **expanded(1.0, 4, value=0.9)),
    ],
}
ROLLED["trees"] = [
    row | {"method": "stepwise", "backup": "rollouts", "evidence": "steps", "expansions": 2, "nodes": 3}
    for row in ROLLED["trees"]
]


def test_what_became_of_a_step_whose_rollouts_are_no_nodes_is_their_mean(tmp_path: Path) -> None:
    path = made(tmp_path, ROLLED)
    outcomes = "select tree_id, node_id, outcome from nodes where kind <> 'root' order by all"
    assert ask(path, outcomes).rows == [("s1", 1, 0.6), ("s1", 2, -1.0), ("s2", 1, 1.0)]
    told = {row["reason"]: row["n"] for row in ask(path, "from left_out where unit = 'question'").records()}
    assert told == {
        "right and wrong, but no lesson took it": 1,
        "nothing wrong was found, and nothing of it is imitated": 1,
    }
    funnel = ask(path, (SQL / "page" / "funnel.sql").read_text(), {"campaign": "demo", "round": 1}).records()
    parts = {row["part"] for row in funnel if row["unit"] == "trees"}
    assert parts == {"right and wrong, but no pair by the rule", "nothing wrong in them"}


def test_what_followed_under_a_hint_says_nothing_of_a_step_without(tmp_path: Path) -> None:
    """A plan under a hint begins with a step that the policy wrote itself, too."""
    nodes = [
        node("t4", 0, None, 0, "root", "?", **expanded(0.0, 2)),
        node("t4", 1, 0, 1, "plan", plan(1, "Add."), **expanded(0.0, 2)),
        node("t4", 2, 1, 2, "solution", solution("1"), reward=-1.0),
        node("t4", 3, 1, 2, "plan", plan(2, "Check."), **expanded(1.0, 1), **HINTED),
        node("t4", 4, 3, 3, "solution", solution("5"), reward=1.0, origin="hint"),
    ]
    trees = [row for row in ROUND["trees"] if row["tree_id"] == "t4"]
    path = made(tmp_path, {"questions": ROUND["questions"], "trees": trees, "nodes": nodes})
    assert ask(path, "select node_id, outcome from nodes order by all").rows == [
        *((0, -1.0), (1, -1.0), (2, -1.0)),
        *((3, 1.0), (4, 1.0)),
    ]


def test_a_failed_tree_is_left_out_for_that(tmp_path: Path) -> None:
    trees = [row | ({"state": "failed"} if row["tree_id"] == "t1" else {}) for row in ROUND["trees"]]
    path = made(tmp_path, ROUND | {"trees": trees, "preferences": [], "imitations": [], "pair_effects": []})
    reasons = "select distinct unit, reason from left_out where name = 'trees' and reason not like 'held%' order by all"
    assert ask(path, reasons).rows == [
        ("pair", "its search failed"),
        ("path", "its search failed"),
        ("question", "its search failed"),
        ("question", "not searched: solved without"),
    ]


def test_v_is_compared_search_by_search(tmp_path: Path) -> None:
    """A value model may judge one search, and the policy itself another."""
    told = [(row["evidence"], row["mean_value"], row["nodes"]) for row in answer(made(tmp_path, ROUND), "03")]
    assert told == [("trees", -0.5, 1), ("trees", 0.5, 1), ("trees", 0.5, 1), ("tries", 0.5, 2)]


def test_errors_of_v_know_that_trees_of_one_question_are_alike(tmp_path: Path) -> None:
    grown = [(question, number) for question in ("q1", "q3") for number in range(10)]
    trees = [
        tree(f"{question}/{number}", question, "budget", expansions=1, nodes=3, visits=2, value=0.0)
        for question, number in grown
    ]
    nodes = [
        row
        for question, number in grown
        for row in (
            node(f"{question}/{number}", 0, None, 0, "root", "?", **expanded(0.0, 2)),
            node(f"{question}/{number}", 1, 0, 1, "plan", plan(1, "Add."), **expanded(0.0, 2, value=0.5)),
            node(f"{question}/{number}", 2, 1, 2, "solution", solution("5"), reward=1.0 if question == "q1" else -1.0),
        )
    ]
    path = made(tmp_path, {"questions": ROUND["questions"], "trees": trees, "nodes": nodes})
    page = (SQL / "page" / "calibration.sql").read_text()
    (row,) = ask(path, page, {"campaign": "demo", "round": 1}).records()
    assert (row["steps"], row["questions"], row["mean_outcome"]) == (20, 2, 0.0)
    assert row["stderr"] == pytest.approx(200**0.5 / 20)


def test_keys_with_blanks_in_them_are_told_apart(tmp_path: Path) -> None:
    """BBH asks for brackets with blanks between them: put together, gold and answer of two rows were the same words."""
    of_bbh = [
        opinion("bbh", "", "wrong", "wrong", 1) | {"gold": gold, "answer": told}
        for gold, told in (("]", "] ]"), ("] ]", "]"))
    ]
    assert check(made(tmp_path, ROUND | {"second_opinions": of_bbh})) == []


def test_a_benchmark_may_ask_what_differs_in_case_or_blanks_that_mean_something(tmp_path: Path) -> None:
    """The check refused after the round what the round itself had let in."""
    for ours, theirs, is_same in (
        *(("Solve X + 1 = 2.", "Solve x + 1 = 2.", False), ("Sort: 12 3", "Sort: 1 23", False)),
        ("Sort: 12 3", " Sort:  12\n3", True),
    ):
        questions = [row | ({"question": ours} if row["question_id"] == "q3" else {}) for row in ROUND["questions"]]
        samples = [
            row | ({"question": theirs} if row["question_id"] == "b1" else {}) for row in ROUND["evaluation_samples"]
        ]
        nodes = [row for row in NODES if row["tree_id"] not in ("t3", "t5")]
        trees = [row for row in ROUND["trees"] if row["tree_id"] not in ("t3", "t5")]
        paths = [row for row in ROUND["imitations"] if row["tree_id"] == "t1"]
        tables = {
            "questions": questions,
            "evaluation_samples": samples,
            "nodes": nodes,
            "trees": trees,
            "imitations": paths,
        }
        broken = [violation.query for violation in check(made(tmp_path, ROUND | tables))]
        assert broken == (["24_no_benchmark_question"] if is_same else [])


def test_only_what_both_judged_is_a_disagreement(tmp_path: Path) -> None:
    assert {row["answer"] for row in answer(made(tmp_path, ROUND), "24")} == {"5 ft", "5x"}


def test_a_question_is_first_solved_once(tmp_path: Path) -> None:
    """Two trees of a question: one is right at once, the other under its first hint."""
    again = [row | {"tree_id": "t6"} for row in NODES if row["tree_id"] == "t5"]
    trees = [
        *ROUND["trees"],
        next(row for row in ROUND["trees"] if row["tree_id"] == "t5") | {"tree_id": "t6", "question_id": "q1"},
    ]
    rows = answer(made(tmp_path, ROUND | {"nodes": [*NODES, *again], "trees": trees}), "07")
    assert [(row["trial"], row["first_solved"]) for row in rows] == [(0, 2), (1, 0), (2, 0)]
    assert rows[-1]["share_solved_so_far"] == 1.0


def test_the_base_is_told_by_what_it_answered(tmp_path: Path) -> None:
    """It lost a question, which the gain leaves out; and who has another model's weights has its answers."""
    evaluations = [
        evaluation("base", "all", 1.0, 1),
        evaluation("base", "add", 1.0, 1),
        evaluation("sft", "all", 0.5, 2),
        evaluation("sft", "add", 0.5, 2),
    ]
    samples = [
        sample("base", "b1", ["add"], is_correct=True),
        sample("base", "b2", ["add"], is_correct=None),
        sample("sft", "b1", ["add"], is_correct=True),
        sample("sft", "b2", ["add"], is_correct=False),
    ]
    models = [
        model("base", None),
        model("sft", "base", nll=1.0),
        model("step_apo", "sft", prefer=1.0) | {"same_as": "sft"},
    ]
    tables = {"models": models, "evaluations": evaluations, "evaluation_samples": samples}
    (row,) = answer(made(tmp_path, tables), "02")
    assert (row["base"], row["accuracy"], row["gain"]) == (1.0, 0.5, 0.0)


def test_of_one_template_nothing_is_known_of_others(tmp_path: Path) -> None:
    samples = [
        sample(name, f"b{number}", ["add"], is_correct=name == "step_apo" or number % 5 == 0, cluster="one")
        for name in ("base", "step_apo")
        for number in range(200)
    ]
    path = made(tmp_path, {"models": ROUND["models"], "evaluation_samples": samples})
    rows = ask(path, "select low, high, verdict from model_comparisons where model = 'step_apo'").rows
    assert rows == [(-1.0, 1.0, "cannot be told with n = 200")]


def test_what_was_written_before_leaves_out_the_first_who_wrote_it(tmp_path: Path) -> None:
    path = made(tmp_path, ROUND)
    (row,) = answer(path, "14")
    texts = [row["text"] for row in NODES if row["kind"] == "plan"]
    before = len(texts) - len(set(texts))
    assert (row["plan_steps"], row["written_before"], row["word_for_word"]) == (len(texts), before, before)
    assert row["share_written_before"] == round(before / len(texts), 3)


def test_single_steps_are_no_whole_paths_to_export(tmp_path: Path) -> None:
    """A trainer would put an end of sequence behind a step that a search scored, and a scored solution, which has one,
    stands behind steps that nobody learns."""
    scored = [imitation([1], 0.8, [], []) | {"eos": None}, imitation([1, 3], 0.4, [], [])]
    rule = {"stage": "scored", "settings": '{"name": "scored", "rule": {"rule": "scored_steps"}}'}
    changed = {
        "imitations": ROUND["imitations"] + [row | {"lesson": "scored"} for row in scored],
        "stages": [*ROUND["stages"], ROUND["stages"][0] | rule],
    }
    path = made(tmp_path, ROUND | changed)
    given = {"campaign": "demo", "round": 1}
    exported = ask(path, (SQL / "exports" / "sft.sql").read_text(), given).records()
    assert {row["example_id"] for row in exported} == {"t1/3", "t5/2"}
    assert {row["completion_ids"][-1] for row in exported} == {EOS}


def test_a_stage_is_told_by_the_round_that_made_it_first(tmp_path: Path) -> None:
    """By the time, and not by the number of the round in its campaign."""
    later = [row | {"created_at": row["created_at"].replace(year=2027)} for row in ROUND["rounds"]]
    renamed = [row | ({"stage": "other"} if row["stage"] == "trees" else {}) for row in ROUND["stages"]]
    inputs = [row | ({"stage": "other"} if row["stage"] == "trees" else {}) for row in ROUND["inputs"]]
    first, second = (
        parquet(tmp_path, ROUND, 2),
        parquet(tmp_path, ROUND | {"rounds": later, "stages": renamed, "inputs": inputs}, 1),
    )
    path = tmp_path / "factory.duckdb"
    build(path, {table: [*first[table], *(one._replace(campaign="beta") for one in second[table])] for table in ROUND})
    told = "select distinct made_of, of_campaign, of_round from lineage where sha256 = repeat('1', 64)"
    assert ask(path, told).rows == [("trees", "demo", 2)]
