"""What worked questions and views answer of a round in which no two figures are alike, so that a wrong line shows."""

from pathlib import Path
from typing import Any

import pytest

from infra.warehouse import ask, build, check
from tests.sql.handmade import QUESTIONS, ROUND, Row, expanded, node, parquet, plan, sample, solution, tree
from tests.sql.test_questions import ROLLED, answer, made


def step(node_id: int, q: float, visits: int, prior: float) -> Row:
    return node("w", node_id, 0, 1, "plan", plan(1, f"Try {node_id}."), **expanded(q, visits, value=q / 2), prior=prior)


STEPS = {1: step(1, 0.9, 12, 0.2), 2: step(2, -0.1, 9, 0.5), 3: step(3, -0.9, 2, 0.25), 4: step(4, 0.3, 8, 0.05)}


def preference(chosen: int, rejected: int, **about: Any) -> Row:
    sides = {"chosen_id": chosen, "rejected_id": rejected, "pair_id": f"w/{chosen}-{rejected}"}
    q = {"chosen_q": STEPS[chosen]["q"], "rejected_q": STEPS[rejected]["q"]}
    values = {"chosen_value": q["chosen_q"], "rejected_value": q["rejected_q"]}
    return ROUND["preferences"][0] | {"tree_id": "w", "parent_id": 0} | sides | q | values | about


WIDE: dict[str, list[Row]] = ROUND | {
    "trees": [tree("w", "q1", "budget", expansions=5, nodes=7, visits=31, value=0.1, is_solved=True, pass_rate=0.25)],
    "nodes": [
        node("w", 0, None, 0, "root", QUESTIONS["q1"], **expanded(0.1, 31)),
        *STEPS.values(),
        node("w", 5, 1, 2, "solution", solution("5"), reward=1.0),
        node("w", 6, 3, 2, "solution", solution("6"), reward=-1.0),
    ],
    "preferences": [
        *(preference(1, 2), preference(1, 3), preference(4, 2), preference(2, 3)),
        preference(1, 2, lesson="a tenth", chosen_value=0.09, rejected_value=-0.01),
    ],
    "imitations": [],
    "pair_effects": [],
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("wide"), WIDE)


def test_the_widest_gaps_are_of_steps_that_were_tried_and_of_the_lesson_where_they_are_widest(wide: Path) -> None:
    told = [(row["gap"], row["chosen_visits"], row["rejected_visits"]) for row in answer(wide, "06")]
    assert told == [(1.0, 12, 9), (0.4, 8, 9), (1.8, 12, 2), (0.8, 9, 2)]
    assert [row["chosen"].split()[-2] for row in answer(wide, "06")] == ["1.", "4.", "1.", "2."]


def test_the_policy_was_surest_where_the_worse_step_was_likelier_and_much_worse(wide: Path) -> None:
    rows = answer(wide, "18")
    assert [(row["prior_of_better"], row["prior_of_worse"]) for row in rows] == [
        *((0.2, 0.5), (0.05, 0.5), (0.2, 0.25), (0.5, 0.25)),
    ]
    assert [(row["better"].split()[-2], row["worse"].split()[-2]) for row in rows[:2]] == [("1.", "2."), ("4.", "2.")]


def test_gaps_and_margins_by_kind_and_position(wide: Path) -> None:
    lesson = WIDE["preferences"][0]["lesson"]
    of = {row["lesson"]: row for row in answer(wide, "01")}[lesson]
    assert (of["pairs"], of["mean_gap"], of["policy_preferred_wrong"]) == (4, 1.0, 0.75)
    assert of["gap_p90"] > 1.2
    margins = {row["lesson"]: row for row in answer(wide, "10")}[lesson]
    assert (margins["smallest"], margins["mean_margin"], margins["widest"]) == (0.4, 1.0, 1.8)


def test_the_most_critical_place_has_all_its_siblings(wide: Path) -> None:
    rows = answer(wide, "09")
    assert {row["gap"] for row in rows} == {1.0}, "what was hardly visited is not critical"
    assert [(row["node_id"], row["q"], row["v"]) for row in rows] == [
        *((1, 0.9, 0.45), (4, 0.3, 0.15), (2, -0.1, -0.05), (3, -0.9, -0.45)),
    ]


def test_the_pair_whose_origin_is_told_is_the_widest(wide: Path) -> None:
    assert {row["pair_id"] for row in answer(wide, "22")} == {"w/1-3"}


def test_what_a_useful_pair_costs(wide: Path) -> None:
    """Seconds of the engine, and not of the stage; a pair of two lessons is as useful as the wider one."""
    (row,) = answer(wide, "17")
    assert (row["pairs"], row["useful_pairs"], row["learning_tokens"]) == (4, 3, 40)
    assert row["seconds_per_useful_pair"] == pytest.approx(4.0 / 3, abs=1e-3)
    assert row["gpu_hours_per_useful_pair"] == pytest.approx(0.25 / 3)


def test_pairs_that_were_left_out_are_those_of_opposite_q(wide: Path) -> None:
    """Two right siblings and two wrong ones make four; the pair of both wrong ones is none of them."""
    assert ask(wide, "select n from left_out where unit = 'pair'").rows == [(1,)]


def test_pass_rates_are_of_questions(tmp_path: Path) -> None:
    several = [WIDE["trees"][0] | {"tree_id": f"w{number}"} for number in range(4)]
    other = tree("v", "q3", "budget", pass_rate=0.0, is_solved=True, expansions=1, nodes=1, visits=1, value=1.0)
    rows = answer(made(tmp_path, {"questions": ROUND["questions"], "trees": [*several, other]}), "19")
    found = [(row["questions"], row["mean_pass_rate"], row["never_right_alone"], row["solved"]) for row in rows]
    assert found == [(2, 0.125, 1, 2)]
    assert [row["solved_by_search_alone"] for row in rows] == [1]


def test_only_puct_has_a_budget_of_expansions(wide: Path, tmp_path: Path) -> None:
    assert [row["share_of_budget_used"] for row in answer(wide, "05")] == [1.25]
    assert [row["share_of_budget_used"] for row in answer(made(tmp_path, ROLLED), "05")] == [None]


def test_nodes_of_two_campaigns_are_those_of_each(tmp_path: Path) -> None:
    path = made(tmp_path, ROLLED, ("alpha", "beta"))
    assert ask(path, "select campaign, count(*) from nodes group by all order by all").rows == [
        *(("alpha", len(ROLLED["nodes"])), ("beta", len(ROLLED["nodes"]))),
    ]


def test_a_failed_tree_gives_no_tokens_to_learn_from(tmp_path: Path) -> None:
    lost = tree("x", "q3", "failed", generated_tokens=7, expansions=2, nodes=1, visits=1, value=0.0)
    path = made(tmp_path, WIDE | {"trees": [*WIDE["trees"], lost]})
    assert ask(
        path, "select generated_tokens, learning_tokens, expansions, learning_expansions from search_yield"
    ).rows == [(47, 40, 7, 5)]


def test_questions_move_by_what_two_rounds_found(tmp_path: Path) -> None:
    sources: dict[str, list[Any]] = {}
    found = {1: {"q1": False, "q2": False, "q3": True}, 2: {"q1": True, "q2": True, "q3": False}}
    for number, solved in found.items():
        trees = [
            tree(f"{name}/{number}", name, "budget", expansions=1, nodes=1, visits=1, value=0.0, is_solved=is_solved)
            for name, is_solved in solved.items()
        ]
        for table, of in parquet(tmp_path, {"questions": ROUND["questions"], "trees": trees}, number).items():
            sources.setdefault(table, []).extend(of)
    build(tmp_path / "two.duckdb", sources)
    rows = answer(tmp_path / "two.duckdb", "11")
    assert {row["question_id"]: row["what"] for row in rows} == {
        "q1": "solved now",
        "q2": "solved now",
        "q3": "lost again",
    }
    last = answer(tmp_path / "two.duckdb", "12")[-1]
    assert (last["round"], last["searched"], last["solved"], last["solved_now"], last["lost_again"]) == (2, 3, 2, 2, 1)


@pytest.mark.parametrize(
    ("theirs", "copied"), [("Sort: 12 3", 1), (" Sort:  12\n3", 1), ("sort: 12 3", 0), ("Sort: 1 23", 0)]
)
def test_what_leaks_is_asked_word_for_word(theirs: str, copied: int, tmp_path: Path) -> None:
    """As the check of a round compares them; of held-out questions nothing is learnt."""
    questions = [row | {"question": "Sort: 12 3"} for row in ROUND["questions"] if row["question_id"] != "q1"]
    samples = [sample("base", "b1", ["add"], is_correct=True) | {"question": theirs}]
    path = made(
        tmp_path, {"questions": questions, "evaluation_samples": samples, "contamination": ROUND["contamination"]}
    )
    assert sum(row["copied_questions"] for row in answer(path, "16")) == copied


def test_one_template_gives_a_gain_no_error(tmp_path: Path) -> None:
    samples = [
        sample(name, f"b{number}", ["add"], is_correct=name == "step_apo" or number % 5 == 0, cluster="one")
        for name in ("base", "step_apo")
        for number in range(200)
    ]
    evaluations = [row | {"n": 200} for row in ROUND["evaluations"] if row["kind"] == "all"]
    path = made(tmp_path, {"models": ROUND["models"], "evaluations": evaluations, "evaluation_samples": samples})
    assert ask(path, "select gain, gain_stderr from accuracy_by_round where model = 'step_apo'").rows == [(0.8, None)]


def test_a_round_that_is_published_again_keeps_its_stages(tmp_path: Path) -> None:
    """Its warehouse is younger then than the next round's."""
    again = [row | {"created_at": row["created_at"].replace(year=2027)} for row in ROUND["rounds"]]
    sources: dict[str, list[Any]] = {}
    for number, rounds in ((1, again), (2, ROUND["rounds"])):
        for table, of in parquet(tmp_path, ROUND | {"rounds": rounds}, number).items():
            sources.setdefault(table, []).extend(of)
    build(tmp_path / "two.duckdb", sources)
    assert ask(tmp_path / "two.duckdb", "select distinct of_round from lineage").rows == [(1,)]
    assert ask(tmp_path / "two.duckdb", "select distinct round from costs where is_own").rows == [(1,)]


@pytest.mark.parametrize("table", ["engine_use", "inputs"])
def test_a_doubled_row_is_found(table: str, tmp_path: Path) -> None:
    path = made(tmp_path, ROUND | {table: ROUND[table] * 2})
    assert [violation.query for violation in check(path)] == ["01_duplicate_keys"]


def test_a_weight_says_the_same_of_a_lesson_and_of_its_words(wide: Path) -> None:
    of = "column_name = 'weight' and table_name in ('imitations', 'imitated_paths')"
    assert ask(wide, f"select count(*), count(distinct comment) from duckdb_columns() where {of}").rows == [(2, 1)]


def test_a_pair_knows_who_wrote_its_steps_and_who_judged_them(tmp_path: Path) -> None:
    models = {"policy": "a" * 64, "value": "b" * 64}
    given = [
        {"stage": "trees", "input": name, "uri": "s3://cpl/x", "sha256": sha256} for name, sha256 in models.items()
    ]
    path = made(tmp_path, WIDE | {"inputs": WIDE["inputs"] + given})
    told = ask(path, "select distinct policy, value_model, evidence from pair_lineage").rows
    assert told == [("a" * 64, "b" * 64, "trees")]


def test_a_value_model_beside_the_policy_costs_gpus_at_the_same_time(tmp_path: Path) -> None:
    """Their tokens add up; their seconds are the same ones."""
    use = WIDE["engine_use"][0]
    beside = use | {"stage": "trees_value", "seconds": 3.0, "requests": 2, "generated_tokens": 5, "gpus": 1}
    path = made(tmp_path, WIDE | {"engine_use": [use, beside]})
    asked = "select engine_seconds, requests, generated_tokens, purpose from costs where stage = 'trees'"
    assert ask(path, asked).rows == [(4.0, 11, 125, "search")]


def test_steps_that_begin_alike_have_the_mean_of_their_values(tmp_path: Path) -> None:
    nodes = [*WIDE["nodes"], *(row | {"node_id": row["node_id"] + 10} for row in STEPS.values())]
    rows = answer(made(tmp_path, WIDE | {"nodes": nodes}), "15")
    assert {row["opening"]: (row["nodes"], row["mean_v"], row["share"]) for row in rows} == {
        "Try 1.": (2, 0.45, 0.25),
        "Try 2.": (2, -0.05, 0.25),
        "Try 3.": (2, -0.45, 0.25),
        "Try 4.": (2, 0.15, 0.25),
    }


def test_answers_by_their_length_leave_out_those_that_were_lost(tmp_path: Path) -> None:
    lengths = ((10, True), (40, False), (60, False), (70, None), (99, True), (80, True))
    samples = [
        sample("base", f"b{number}", ["add"], is_correct=is_correct) | {"generated_tokens": tokens}
        for number, (tokens, is_correct) in enumerate(lengths)
    ]
    rows = answer(made(tmp_path, WIDE | {"evaluation_samples": samples}), "20")
    assert [(row["tokens_from"], row["answers"], row["accuracy"]) for row in rows] == [(0, 2, 0.5), (50, 3, 0.667)]
