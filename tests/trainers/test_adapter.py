"""LoRA: what trains, what is published, and that a killed training goes on as if it had not been."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from infra.contract.model_folder import Probe, ValueWords
from infra.contract.training import Loss
from infra.store import Store
from tasks.recipe import Recipe
from tasks.running import trainer as launching
from tests.tasks.running.local_stage import Silent
from tests.trainers.conftest import changed, learn
from tests.trainers.families import FAMILIES
from tests.trainers.launched import workplace
from tests.trainers.test_prefer import step_logprob
from tests.trainers.test_resume import assert_ended_alike, killed
from trainers import adapter, training
from trainers.learn import Learn, train, trainer
from trainers.model_folder import load_model
from trainers.progress import lines

RANK = 4


@pytest.fixture
def config(settings: dict[str, Any], imitations: Path) -> Learn:
    """The value words' rows go twice as far as they would."""
    told = settings | {"lora": RANK, "value_rate": 2.0, "learning_rate": 1e-3, "batch_size": 16}
    return Learn(**told, lesson=imitations, loss=Loss(nll=1.0, value=0.5))


def test_what_is_published_is_the_base_with_every_product_of_the_adapter_added(
    config: Learn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W + 2 B A for every linear layer of the body, and nothing else but two rows of the head."""
    apart: dict[str, torch.Tensor] = {}
    save = training.save_trained

    def kept(trained: Any, *rest: Any) -> None:
        apart.update({name: weight.detach().clone() for name, weight in trained.model.named_parameters()})
        save(trained, *rest)

    monkeypatch.setattr(training, "save_trained", kept)
    train(changed(config, epochs=4))
    words = ValueWords.read(config.model)
    base, published = (dict(load_model(one).named_parameters()) for one in (config.model, config.output / "model"))
    layers = {name for name, weight in base.items() if weight.ndim == 2 and ".layers." in name}
    assert len(layers) == 2 * 7
    for name, weight in published.items():
        if name in layers:
            inside = f"base_model.model.{name.removesuffix('.weight')}"
            a, b = (apart[f"{inside}.lora_{side}.default.weight"].double() for side in "AB")
            assert a.shape[0] == b.shape[1] == RANK
            assert b.abs().max() > 1e-4
            torch.testing.assert_close(weight.double(), base[name].double() + 2 * b @ a, atol=1e-6, rtol=1e-6)
        elif name == "lm_head.weight":
            moved = (weight != base[name]).any(1).nonzero()[:, 0].tolist()
            assert sorted(moved) == sorted([words.good, words.bad])
        else:
            assert torch.equal(weight, base[name]), name


def test_what_is_published_is_an_ordinary_model_folder_that_proves_itself(config: Learn) -> None:
    """The probe is that of the merged weights, the words are the trained ones, and a summary says what was done."""
    summary = learn(changed(config, epochs=2))
    folder = config.output / "model"
    assert {path.name for path in folder.iterdir()} == {path.name for path in config.model.iterdir()}
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for sequence in Probe.read(folder).sequences:
        with torch.no_grad():
            logprobs = model(torch.tensor([sequence.prompt])).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(logprobs[sequence.token_ids], torch.tensor(sequence.logprobs), atol=1e-4, rtol=0)
    assert (summary["unchanged"], summary["examples"], summary["updates"]) == (False, 24, 2)
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]


def test_an_adapter_that_learns_nothing_leaves_the_model_unchanged(config: Learn, tmp_path: Path) -> None:
    rows = pl.read_parquet(config.lesson).with_columns(pl.lit(0.0).alias("weight"))
    rows.write_parquet(tmp_path / "rows.parquet")
    idle = changed(config, lesson=tmp_path / "rows.parquet", loss=Loss(nll=1.0, value=1e-30), learning_rate=1e-20)
    assert learn(idle)["unchanged"]


def test_the_value_rows_have_a_rate_of_their_own(config: Learn) -> None:
    def way(rate: float) -> torch.Tensor:
        one = changed(config, value_rate=rate, output=config.output / str(rate))
        train(one)
        (line,) = lines(one.output / "progress.jsonl")[:1]
        assert line["update"] == 1
        start, end = (load_model(folder).lm_head.weight for folder in (one.model, one.output / "model"))
        return (end - start).detach()

    slow, fast = way(1.0), way(7.0)
    assert slow.abs().max() > 1e-4
    torch.testing.assert_close(fast, 7 * slow, atol=1e-6, rtol=1e-3)


def test_the_first_loss_and_the_reference_are_those_of_the_model_without_the_adapter(
    config: Learn, preferences: Path
) -> None:
    """And the update before the clip is that of two rows and an adapter: the other rows' gradient counts nowhere."""
    config = changed(config, lesson=preferences, loss=Loss(prefer=1.0, value=1.0))
    whole = changed(config, lora=0, output=config.output / "whole")
    train(config)
    train(whole)
    of_adapter, of_whole = (pl.read_parquet(one.output / "references.parquet") for one in (config, whole))
    for one, other in zip(of_adapter["reference"].explode(), of_whole["reference"].explode(), strict=True):
        assert one.to_list() == pytest.approx(other.to_list(), abs=1e-5)
    first, first_of_whole = (lines(one.output / "progress.jsonl")[0] for one in (config, whole))
    assert first["loss"] == pytest.approx(first_of_whole["loss"], rel=1e-5)
    assert first["grad_norm"] < first_of_whole["grad_norm"]


def test_effects_are_those_of_the_model_that_is_published(settings: dict[str, Any], preferences: Path) -> None:
    config = Learn(**settings | {"learning_rate": 1e-2, "lora": RANK}, lesson=preferences, loss=Loss(prefer=1.0))
    learn(config)
    told, rows = pl.read_parquet(config.output / "effects.parquet"), pl.read_parquet(preferences)
    for when, folder in (("before", config.model), ("after", config.output / "model")):
        model = load_model(folder).eval()
        with torch.no_grad():
            expected = [step_logprob(model, *ids).item() for ids in rows["prompt_ids", "chosen_ids"].iter_rows()]
        assert told[f"chosen_{when}"].to_list() == pytest.approx(expected, abs=1e-4), when
    assert all((told["chosen_after"] - told["chosen_before"]).abs() > 1e-3), "the adapter learnt something"


def test_only_two_rows_of_the_head_have_a_gradient(config: Learn) -> None:
    made = trainer(config)
    head = made.causal.get_output_embeddings()
    seen: list[list[int]] = []
    clip = made.accelerator.clip_grad_norm_

    def watched(*given: Any, **more: Any) -> Any:
        seen.append(head.weight.grad.abs().sum(1).nonzero()[:, 0].tolist())
        return clip(*given, **more)

    made.accelerator.clip_grad_norm_ = watched
    made.train()
    words = ValueWords.read(config.model)
    assert len(seen) > 0
    assert all(sorted(rows) == sorted([words.good, words.bad]) for rows in seen)


def test_a_killed_training_ends_like_one_that_was_not(config: Learn, tmp_path: Path) -> None:
    whole = changed(config, micro_batch_size=4, batch_size=8, epochs=30)
    train(whole)
    parted = changed(whole, output=tmp_path / "killed")
    killed(parted)
    train(parted)
    assert_ended_alike(whole.output, parted.output)


def test_several_processes_with_an_adapter_are_refused(config: Learn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="lora trains on one device, not on 2"):
        changed(config)
    assert changed(config, lora=0).lora == 0


def test_an_adapter_starts_by_the_seed_alone(config: Learn, tmp_path: Path) -> None:
    """Else a training that was killed before its first checkpoint would begin as another."""
    torch.manual_seed(1)
    one = trainer(config)
    torch.manual_seed(2)
    again = trainer(changed(config, output=tmp_path / "again"))
    other = trainer(changed(config, seed=2, output=tmp_path / "other"))
    first, same, another = (
        torch.cat([weight.flatten() for name, weight in made.model.named_parameters() if ".lora_A." in name])
        for made in (one, again, other)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, another)


@pytest.mark.parametrize("name", ["llama-2", "qwen2", "gemma", "gpt-2", "phi"])
def test_every_familys_merged_state_has_the_names_and_shapes_of_its_own(name: str) -> None:
    from peft import get_peft_model

    model = AutoModelForCausalLM.from_config(FAMILIES[name].config(50)).eval()
    model.config.tie_word_embeddings = False
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    ids = torch.tensor([[3, 4, 5, 6]])
    adapted = get_peft_model(model, adapter.of_rank(2, model)).eval()
    for key, weight in adapted.named_parameters():
        if ".lora_B." in key:
            torch.nn.init.normal_(weight.data, std=0.1)
    expected = adapted(ids).logits
    adapted.merge_adapter()
    merged = adapter.merged(adapted.state_dict())
    assert {key: tensor.shape for key, tensor in merged.items()} == {k: t.shape for k, t in before.items()}
    plain = AutoModelForCausalLM.from_config(FAMILIES[name].config(50)).eval()
    plain.get_output_embeddings().weight = torch.nn.Parameter(head.weight.detach().clone())
    plain.load_state_dict(merged)
    torch.testing.assert_close(plain(ids).logits, expected, atol=1e-4, rtol=1e-4)


ARM = """
[evidence.trees]
method = "puct"
simulations = 4
[lessons.paths]
rule = "right_paths"
evidence = ["trees"]
[arms.sft]
lesson = "paths"
loss = { nll = 1.0, value = 0.1, kl = 0.1 }
exact_kl = true
lora = 8
learning_rate = 1e-3
batch_size = 8
max_length = 64
[next]
policy = ["sft"]
"""


def test_a_recipes_arm_with_an_adapter_is_trained_by_the_launch_of_every_arm(
    config: Learn, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own; what it leaves is the stage's: the merged model, and the reference of every row."""
    monkeypatch.setattr(launching, "Progress", Silent)
    monkeypatch.setattr(launching, "show_curve", lambda name, progress: None)
    (tmp_path / "arm.toml").write_text(ARM)
    arm = Recipe.read(tmp_path / "arm.toml").arms["sft"]
    assert arm.lora == 8
    working = workplace()
    with working.alone():
        files = {"model": str(config.model), "lesson": str(config.lesson)}
        launching.launch(working, "learn", "sft", files | arm.training.model_dump())
    kept = {item.name: item.rows for item in working.objects}
    assert {"model/model.safetensors", "model/probe.json", "summary.json"} <= kept.keys()
    assert kept["references.parquet"] == working.facts["examples"] == 24
    assert not working.facts["unchanged"]
