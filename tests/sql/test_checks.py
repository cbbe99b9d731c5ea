"""Each rule of the warehouse: it holds for a sound round, and breaking it breaks it alone."""

import shutil
from pathlib import Path

import duckdb
import pytest

from infra.warehouse import ask, check, first_comment, statements
from tasks.language.format import PLANS

CHECKS = [file.stem for file in statements("checks")]

HINTED = """
    select imitations.* replace (
        't4' as tree_id, 't4/6' as example_id, 6 as leaf_id, 'hint' as origin, [3] as value_positions,
        [1] as value_targets
    )
    from imitations
    where leaf_id = 3
"""
"""The path that a hint led to, beside that of the search."""

DOUBLE = "create temp table copy as from {table} where {rows}; insert into {table} from copy;"

CONTINUED = """
    update preferences set chosen_id = 3, kind = 'continuation', chosen_q = 1, chosen_value = 1, chosen_prior = null,
        rejected_prior = null
    where chosen_id = 1
"""
"""A step and the right solution after it, preferred to another step."""

BREAKS = {
    "01_duplicate_keys": DOUBLE.format(table="models", rows="model = 'sft'"),
    "02_trees_once": DOUBLE.format(table="trees", rows="tree_id = 't1'"),
    "03_pairs_once": DOUBLE.format(table="preferences", rows="chosen_id = 3"),
    "04_dangling_references": "delete from models where model = 'base'",
    "05_orphan_nodes": "update nodes set depth = 3 where tree_id = 't1' and node_id = 7",
    "06_root_prompts": "update nodes set token_ids = [1] where tree_id = 't2' and node_id = 0",
    "07_visit_counts": """
        update nodes set visits = visits + 1 where tree_id = 't1' and node_id = 0;
        update trees set visits = visits + 1 where tree_id = 't1';
    """,
    "08_running_means": """
        update nodes set q = 0.1 where tree_id = 't1' and node_id = 0;
        update trees set value = 0.1 where tree_id = 't1';
    """,
    "09_terminal_rewards": "update nodes set reward = 1 where tree_id = 't1' and node_id = 5",
    "10_tree_totals": "update trees set expansions = 4 where tree_id = 't1'",
    "11_values_in_range": "update nodes set value = 1.5 where tree_id = 't1' and node_id = 7",
    "12_probabilities_in_range": "update nodes set prior = 1.5 where tree_id = 't1' and node_id = 7",
    "13_pair_sides": "update preferences set kind = 'solution' where chosen_id = 1",
    "14_pair_order": "update preferences set chosen_value = rejected_value where chosen_id = 1",
    "15_pair_values": "update preferences set chosen_q = 0.25 where chosen_id = 1",
    "18_pairs_of_trained_trees": "delete from imitations; update trees set is_held_out = true where tree_id = 't1'",
    "19_imitations_of_trained_trees": "delete from preferences; update trees set state = 'failed' where tree_id = 't1'",
    "20_imitated_paths": "update imitations set prompt_characters = prompt_characters - 1 where leaf_id = 3",
    "21_imitated_paths_correct": """
        update imitations set weight = 1, eos = 99 where leaf_id = 4
    """,
    "22_value_targets": "update imitations set value_targets = [0.5, 1] where leaf_id = 3",
    "23_evaluations_match_samples": "update evaluations set n = 3 where model = 'base' and kind = 'all'",
    "24_no_benchmark_question": """
        update evaluation_samples set question = ' What is
1  + 1?' where model = 'base' and question_id = 'b1'
    """,
    "25_zero_sum_scores": "update nodes set score = 0.5 where tree_id = 't1' and node_id = 1",
    "26_distinct_siblings": """
        update nodes set text = ' ' || (select text from nodes where tree_id = 't1' and node_id = 1)
        where tree_id = 't1' and node_id = 7
    """,
    "27_imitated_once": f"insert into imitations {HINTED}",
    "28_hints": "update nodes set hint = null where kind = 'leaked'",
    "29_pair_effects": "update pair_effects set kind = 'step' where kind = 'plan'",
}


def test_a_sound_round_breaks_no_rule(warehouse: Path) -> None:
    assert check(warehouse) == []


@pytest.mark.parametrize("name", CHECKS)
def test_breaking_a_rule_is_seen_by_its_check_alone(name: str, warehouse: Path, tmp_path: Path) -> None:
    broken = alter(warehouse, tmp_path, BREAKS[name])
    violations = check(broken)
    assert [violation.query for violation in violations] == [name], "\n".join(map(str, violations))


OTHER_BREAKS = {
    "a chosen Q below the rejected one": (
        "update preferences set chosen_q = -1, rejected_q = 1 where chosen_id = 3",
        {"14_pair_order", "15_pair_values"},
    ),
    "a node whose parent is missing": (
        "delete from nodes where tree_id = 't2' and node_id = 1",
        {"05_orphan_nodes", "07_visit_counts", "08_running_means", "10_tree_totals"},
    ),
    "a node without a tree": (
        "update nodes set tree_id = 't9' where tree_id = 't3'",
        {"05_orphan_nodes", "10_tree_totals"},
    ),
    "a pair across two parents": (
        "update preferences set rejected_id = 5 where chosen_id = 3",
        {"13_pair_sides"},
    ),
    "a pair whose one side is on the way to the other": (
        """
        update preferences set chosen_id = 3, chosen_q = 1, chosen_value = 1, rejected_id = 1, kind = 'continuation',
            rejected_q = 1 / 6, rejected_value = 1 / 6 where chosen_id = 1
        """,
        {"13_pair_sides"},
    ),
    "a continuation that says it is a solution": (
        CONTINUED + "; update preferences set kind = 'solution' where kind = 'continuation'",
        {"13_pair_sides"},
    ),
    "a side that ends in what nobody can learn from": (
        """
        update preferences set rejected_id = 6, kind = 'continuation', rejected_q = -1, rejected_value = -1
        where chosen_id = 1
        """,
        {"13_pair_sides"},
    ),
    "a pair of a node that is not there": (
        "update preferences set rejected_id = 77 where chosen_id = 3",
        {"13_pair_sides"},
    ),
    "the same preference under another key": (
        "insert into preferences select * replace ('other' as pair_id) from preferences where chosen_id = 3",
        {"03_pairs_once"},
    ),
    "another preference under the same key": (
        "update preferences set pair_id = 't1/1-2' where chosen_id = 3",
        {"03_pairs_once"},
    ),
    "a value that is not a number": (
        "update nodes set value = 'nan' where tree_id = 't1' and node_id = 7",
        {"11_values_in_range"},
    ),
    "a visited node without Q": (
        "update nodes set q = null where tree_id = 't1' and node_id = 4",
        {"08_running_means", "09_terminal_rewards", "15_pair_values", "22_value_targets"},
    ),
    "a step of a solution below a plan": (
        "update nodes set kind = 'step' where tree_id = 't1' and node_id = 7",
        {"06_root_prompts"},
    ),
    "a plan's steps below a solution": (
        "update nodes set text = replace(text, '<plan>', '<solution>') where tree_id = 't2' and node_id = 0",
        {"06_root_prompts"},
    ),
    "a correct malformed step": (
        "update nodes set kind = 'malformed' where tree_id = 't2' and node_id = 2",
        {"09_terminal_rewards"},
    ),
    "an imitation without its end of sequence": (
        "update imitations set eos = null where tree_id = 't5'",
        {"20_imitated_paths"},
    ),
    "a hinted path that does not say so": (
        f"insert into imitations {HINTED}; delete from imitations where leaf_id = 3; "
        "update imitations set origin = 'policy'",
        {"20_imitated_paths"},
    ),
    "an imitated path that was told the answer": (
        """
        update imitations set tree_id = 't4', question_id = 'q1', leaf_id = 4, origin = 'hint', value_targets = [],
            value_positions = [], example_id = 't4/4',
            prompt_characters = (select length(text) from nodes where tree_id = 't4' and node_id = 0)
        where tree_id = 't5';
        delete from imitations where tree_id = 't1'
        """,
        {"20_imitated_paths", "21_imitated_paths_correct"},
    ),
    "a target on a plan step under a hint": (
        f"insert into imitations {HINTED}; delete from imitations where tree_id = 't1'; "
        "update imitations set value_positions = [1, 3], value_targets = [1, 1]",
        {"22_value_targets"},
    ),
    "a target that rests on what followed under a hint": (
        """
        update nodes set parent_id = 1, depth = 2, path = [0, 1, 6] where tree_id = 't4' and node_id = 6;
        delete from nodes where tree_id = 't4' and node_id = 5;
        update nodes set visits = 2, q = 0 where tree_id = 't4' and node_id = 1;
        update trees set nodes = 6, expansions = 3 where tree_id = 't4';
        delete from imitations where tree_id = 't1';
        update imitations set tree_id = 't4', question_id = 'q1', leaf_id = 6, origin = 'hint', example_id = 't4/6',
            prompt_characters = (select length(text) from nodes where tree_id = 't4' and node_id = 0),
            value_targets = [0, 1] where tree_id = 't5'
        """,
        {"22_value_targets"},
    ),
    "values of a question from two evidences": (
        f"insert into imitations {HINTED}; update imitations set weight = 0, eos = null where weight > 0",
        {"27_imitated_once"},
    ),
    "a hint in a tree without reflections": (
        "update nodes set origin = 'hint', hint = 'so' where tree_id = 't1' and node_id = 7",
        {"28_hints"},
    ),
    "a hint that nobody was given": ("update nodes set hint = 'so' where tree_id = 't1' and node_id = 7", {"28_hints"}),
    "a leak without a hint": ("update nodes set origin = 'policy', hint = null where kind = 'leaked'", {"28_hints"}),
    "a leak that counts": (
        "update nodes set visits = 1, q = 0 where kind = 'leaked'",
        {"07_visit_counts"},
    ),
    "a leak with a reward": ("update nodes set reward = -1 where kind = 'leaked'", {"09_terminal_rewards"}),
    "a sampled step that counts its own value": (
        """
        update nodes set visits = 2, q = -0.25 where tree_id = 't4' and node_id = 1;
        """,
        {"07_visit_counts", "08_running_means"},
    ),
    "a path of a failed tree": (
        "delete from preferences; update trees set state = 'failed' where tree_id = 't1'",
        {"19_imitations_of_trained_trees"},
    ),
    "a path of a tree that was not searched": (
        "delete from preferences; update trees set state = 'skipped' where tree_id = 't1'",
        {"19_imitations_of_trained_trees"},
    ),
    "a search that forgot which questions are held out": (
        "update questions set is_held_out = true where question_id = 'q1'",
        {"18_pairs_of_trained_trees", "19_imitations_of_trained_trees"},
    ),
    "a target on a step below which nothing ended": (
        """
        update nodes set kind = 'plan', reward = null where tree_id = 't1' and node_id = 5;
        update imitations set weight = 0 where leaf_id = 5
        """,
        {"07_visit_counts", "22_value_targets"},
    ),
    **{
        f"a wrong answer that counts as {outcome}": (
            f"update evaluation_samples set outcome = '{outcome}' where model = 'base' and question_id = 'b2'",
            {"23_evaluations_match_samples"},
        )
        for outcome in ("right", "truncated", "unparsable", "undecided", "failed", "well meant")
    },
    "a lost question that counts as wrong": (
        "update evaluation_samples set is_correct = null, outcome = 'failed', error = 'gone' "
        "where model = 'base' and question_id = 'b2'",
        {"23_evaluations_match_samples"},
    ),
    "a lost question that does not say why": (
        "delete from evaluations where model = 'base'; "
        "update evaluation_samples set is_correct = null, outcome = 'failed' where model = 'base'",
        {"23_evaluations_match_samples"},
    ),
    "tokens that were not spent": (
        "update evaluations set generated_tokens = 13 where model = 'base' and kind = 'all'",
        {"23_evaluations_match_samples"},
    ),
    "a training's effect on a pair that is not there": (
        "update pair_effects set pair_id = 't1/5-6' where kind = 'plan'",
        {"04_dangling_references"},
    ),
    "effects of some of the pairs": ("delete from pair_effects where kind = 'plan'", {"29_pair_effects"}),
    "an effect of another gap": ("update pair_effects set gap = -gap where kind = 'plan'", {"29_pair_effects"}),
    "an effect of a model that is not there": (
        "update pair_effects set model = 'another'",
        {"04_dangling_references"},
    ),
    "an effect that is told twice": (
        DOUBLE.format(table="pair_effects", rows="true"),
        {"01_duplicate_keys", "29_pair_effects"},
    ),
    **{
        f"a side that is more than certain: {side}": (
            f"update pair_effects set {side} = 0.5",
            {"12_probabilities_in_range"},
        )
        for side in ("chosen_before", "chosen_after", "rejected_before", "rejected_after")
    },
    "an accuracy outside of its interval": (
        "update evaluations set accuracy_low = 0.6 where model = 'base' and kind = 'all'",
        {"12_probabilities_in_range"},
    ),
    "a step with two value targets": (
        "update imitations set value_positions = [1, 3], value_targets = [1 / 6, -1] where leaf_id = 4",
        {"22_value_targets"},
    ),
    "samples that no evaluation counts": (
        "delete from evaluations where model = 'base' and kind = 'add'",
        {"23_evaluations_match_samples"},
    ),
}


@pytest.mark.parametrize("case", OTHER_BREAKS)
def test_the_other_ways_to_break_a_rule(case: str, warehouse: Path, tmp_path: Path) -> None:
    change, expected = OTHER_BREAKS[case]
    assert {violation.query for violation in check(alter(warehouse, tmp_path, change))} == expected


def test_a_continuation_may_be_preferred_to_a_step(warehouse: Path, tmp_path: Path) -> None:
    """Self-Explore. In the view its place is that of its first action, and it has no prior of its own."""
    broken = alter(warehouse, tmp_path, CONTINUED)
    assert check(broken) == []
    rows = ask(broken, "select kind, depth, chosen_prior from step_preferences order by kind").rows
    assert rows[0] == ("continuation", 1, None)


def test_solutions_may_be_preferred_without_a_margin(warehouse: Path, tmp_path: Path) -> None:
    """A value scale of 0 asks for it."""
    change = "update preferences set chosen_value = 0, rejected_value = 0 where kind = 'solution'"
    assert check(alter(warehouse, tmp_path, change)) == []


def test_two_lessons_may_hold_the_same_rows(warehouse: Path, tmp_path: Path) -> None:
    change = """
        insert into preferences select * replace ('again' as lesson) from preferences;
        insert into imitations select * replace ('again' as lesson) from imitations
    """
    assert check(alter(warehouse, tmp_path, change)) == []


def test_what_a_hint_led_to_may_be_imitated_beside_the_values_of_the_search(warehouse: Path, tmp_path: Path) -> None:
    change = f"""
        insert into imitations {HINTED};
        update imitations set weight = 0, eos = null where tree_id = 't1' and leaf_id = 3
    """
    assert check(alter(warehouse, tmp_path, change)) == []


def test_a_kind_may_be_called_all(warehouse: Path, tmp_path: Path) -> None:
    altered = alter(warehouse, tmp_path, "update evaluation_samples set kinds = kinds || ['all']")
    assert check(altered) == []
    errors = "select gain_stderr from accuracy_by_round where model = 'step_apo' and kind = 'all'"
    before, after = (ask(path, errors).rows for path in (warehouse, altered))
    assert after == before != [(0.0,)]


def test_the_roots_text_is_the_prompt_that_is_asked(warehouse: Path, tmp_path: Path) -> None:
    """SQL takes tags apart as the format does."""
    text = "<plan> <step> </solution> <verdict> </reflection> <question>  < step> <STEP> <steps>"
    change = f"""
        update questions set question = '{text}' where question_id = 'q2';
        update nodes set text = '{PLANS.prompt(text)}' where tree_id = 't2' and node_id = 0
    """
    assert check(alter(warehouse, tmp_path, change)) == []


def test_a_violation_tells_rule_query_and_rows(warehouse: Path, tmp_path: Path) -> None:
    broken = alter(warehouse, tmp_path, "update nodes set value = 3 + node_id")
    [violation] = [violation for violation in check(broken) if violation.query == "11_values_in_range"]
    assert violation.rule == "A value, a Q, a reward and a value target lie in [-1, 1]."
    assert violation.count == 22
    assert len(violation.rows) == 5
    assert "table_name=nodes, campaign=demo, round=1" in violation.rows[0]
    assert str(violation).endswith("… and 17 more")


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_states_its_rule_in_one_sentence(name: str) -> None:
    [file] = [file for file in statements("checks") if file.stem == name]
    assert file.read_text().startswith("-- ")
    assert first_comment(file).endswith(".")


def alter(warehouse: Path, folder: Path, change: str) -> Path:
    """What training did to pairs follows these; it is there for the checks of itself alone."""
    path = Path(shutil.copy(warehouse, folder))
    with duckdb.connect(path) as connection:
        if "pair_effects" not in change:
            connection.execute("delete from pair_effects")
        connection.execute(change)
    return path
