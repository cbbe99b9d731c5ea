"""The stage *pairs*: the step pairs and the examples that a round's trees and rollouts teach."""

from collections import Counter

from infra.engine import ModelFolder
from infra.store import Ref
from tasks.language.format import Kind
from tasks.lessons.pairs import learnt
from tasks.records import frame
from tasks.running.stage import Workplace, stage
from tasks.settings import Pairs


@stage("pairs", version=6)
def make_pairs(workplace: Workplace, rollouts: Ref, trees: Ref, policy: Ref, settings: Pairs) -> int:
    """Tables `step_pairs` and `sft_examples`."""
    eos = ModelFolder.read(workplace.store.folder(policy, "model")).words.eos
    attempts = workplace.read(rollouts, "rollouts")
    pairs, examples, dropped = learnt(
        attempts, workplace.read(trees, "trees"), workplace.read(trees, "nodes"), settings, eos
    )
    workplace.write("step_pairs", frame("step_pairs", pairs))
    workplace.write("sft_examples", frame("sft_examples", examples))
    imitated = Counter(example["origin"] for example in examples if example["is_policy"])
    workplace.facts |= {
        "plan_pairs": sum(pair["kind"] == Kind.PLAN for pair in pairs),
        "solution_pairs": sum(pair["kind"] == Kind.SOLUTION for pair in pairs),
        "policy_paths": imitated.total(),
        "rollout_paths": imitated["rollout"],
        "reflection_paths": imitated["reflection"],
        "value_targets": sum(len(example["value_targets"]) for example in examples),
        "pairs_without_outcomes": dropped["pairs_without_outcomes"],
        "steps_without_outcome": dropped["steps_without_outcome"],
    }
    return len(pairs)
