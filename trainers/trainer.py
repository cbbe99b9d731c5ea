"""The trainer of every loss: TRL's SFTTrainer, its rows laid out as forests and its loss the recipe's sum of terms.

loss = nll * NLL + value * MSE + prefer * Step-APO + rank * margin + kl * KL          (trainers/terms.py)

Every mean is taken over the whole update (of tokens, of values, of pairs): how it is cut into micro-batches and devices
changes nothing. TRL's fused head makes log-probs of the learnt tokens alone, and never all logits of a row.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import PreTrainedModel
from trl import SFTTrainer

from infra.contract.model_folder import ValueWords
from infra.contract.training import Training
from trainers import terms
from trainers.forest import mask
from trainers.lesson import Collator, Together, paths
from trainers.scheduled import ScheduledTrainer
from trainers.value_rows import hasten, read_values, spare_others
from trainers.vocabulary import divergence

Batch = dict[str, torch.Tensor]

TOLERANCE = 1e-3
"""Of a log-prob or a value in float32: what the order of sums may change. A wrong mask or position changes more."""


def _layout(batch: Batch) -> Batch:
    """What a model is told of a batch: its tokens, and what each of them sees."""
    if "ends" not in batch:
        return {"input_ids": batch["input_ids"], "attention_mask": batch["filled"].long()}
    shared = {name: batch[name] for name in ("input_ids", "position_ids")}
    return shared | {"attention_mask": mask(batch["ends"])}


class LessonTrainer(ScheduledTrainer, SFTTrainer):
    """`learning`: what it is told; `words`: of the model that it starts from; `start`: a copy of that model, on the
    CPU, where the exact KL is taken from it."""

    data_collator: Collator
    train_dataset: Dataset

    def __init__(
        self, *, learning: Training, words: ValueWords, start: PreTrainedModel | None = None, **kwargs: Any
    ) -> None:
        self.learning, self.terms = learning, learning.loss
        self.words = words.good, words.bad
        self._asked: Batch | None = None
        self.reference_seconds = 0.0
        self.start = start.eval().requires_grad_(False) if start else None
        # Attention costs by a row's length, all else by the width: up to twice the width, longer rows cost no more.
        row_length = min(learning.max_length, 2 * kwargs["model"].config.get_text_config().hidden_size)
        super().__init__(data_collator=Collator(words.eos, learning.max_length, row_length, learning.loss), **kwargs)
        self.model_accepts_loss_kwargs = True  # the loss is divided here, by what the update holds
        self.seen = Counter[str]()
        self.causal.base_model.register_forward_hook(self._gather)

    @property
    def causal(self) -> PreTrainedModel:
        """The language model, inside of its adapter where it has one."""
        whole: PreTrainedModel = self.model.get_base_model() if self.learning.lora else self.model
        return whole

    def _get_train_sampler(self, *_: Any) -> Together:
        self.order = Together(self.train_dataset, self.learning.seed)
        return self.order

    def _run_epoch(self, *, epoch: int, **given: Any) -> Any:
        """On several devices accelerate wraps what is left of a resumed epoch so often that its number gets lost."""
        self.order.set_epoch(epoch)
        return super()._run_epoch(epoch=epoch, **given)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if is_new and self.terms.needs_values:
            hasten(optimizer, self.causal.get_output_embeddings(), self.words, self.learning.value_rate)
        return optimizer

    def training_step(self, *args: Any, **given: Any) -> torch.Tensor:
        loss = super().training_step(*args, **given)
        if self.learning.lora:
            spare_others(self.causal.get_output_embeddings(), self.words)
        return loss

    def scores(self, model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """One forward pass: log-probs [T] of the learnt tokens of all sequences, and values [M]."""
        self._asked = batch
        if not len(batch["predicted"]):
            model(**_layout(batch), use_cache=False, logits_to_keep=1)
            return self._values.new_zeros(0), self._values
        output = model(**_layout(batch), shift_labels=batch["predicted"][None], fused_lm_head=True)
        return output.log_probs[0][batch["token"]], self._values

    @torch.no_grad()
    def hidden_before(self, model: Any, batch: Batch) -> torch.Tensor:
        """Where learnt tokens are predicted, the last hidden states [U, width] of the model that training starts from:
        a copy of it, or this one without its adapter."""
        if self.start is not None:
            start = self.start.to(self.accelerator.device)
            output = start.base_model(**_layout(batch), use_cache=False)
            return output.last_hidden_state.flatten(0, 1)[batch["predicting"]]
        is_training = model.training
        with model.eval().disable_adapter():  # the start drops nothing out
            self._asked = batch
            model(**_layout(batch), use_cache=False, logits_to_keep=1)
        model.train(is_training)
        return self._hidden

    def compute_loss(self, model: torch.nn.Module, inputs: Batch, *_: Any, **__: Any) -> torch.Tensor:
        if self.terms.kl and self.learning.exact_kl:
            inputs["before"] = self.hidden_before(model, inputs)
        tokens, values = self.scores(model, inputs)
        count, of = self.update_holds, self.terms
        logprobs = terms.per_sequence(tokens, inputs["sequence"], len(inputs["weight"]))
        parts: dict[str, torch.Tensor] = {}
        if of.nll:
            parts["nll"] = terms.nll(logprobs, inputs["weight"]) / count["tokens"]
        if of.kl:
            exact = "before" in inputs
            kl = self._divergence[inputs["token"]].sum() if exact else terms.kl(tokens, inputs["reference"])
            parts["kl"] = kl / count["tokens"]
        if of.value:
            parts["value"] = terms.value(values, inputs["value_targets"]) / count["values"]
        if of.rank:
            parts["rank"] = terms.rank(values, inputs["value_targets"], self.learning.gamma) / count["pairs"]
        if of.prefer:
            reference = terms.per_sequence(inputs["reference"], inputs["sequence"], len(logprobs))
            margins = terms.pair_margins(logprobs, reference, self.learning.beta)
            gap = inputs["advantage"][0::2] - inputs["advantage"][1::2]
            preference = terms.match if self.learning.squared else terms.prefer
            parts["prefer"] = preference(margins, gap, self.learning.alpha) / count["pairs"]
            self._note("margin", margins.sum() / count["pairs"])
            self._note("preferred", (margins > 0).float().sum() / count["pairs"])
        for name, part in parts.items():
            self._note(f"{name}_loss", part)
        if of.needs_values:
            known = values[~inputs["value_targets"].isnan()]
            self._note("value_mean", known.sum() / count["values"])
            self._note("value_square", known.square().sum() / count["values"])
        self.seen.update({name: int(self.accelerator.gather(inputs[name]).sum()) for name in ("tokens", "row_tokens")})
        # The gradients of all processes are averaged, and the counts are over all of them.
        loss = torch.stack([getattr(of, name) * part for name, part in parts.items()]).sum()
        return loss * self.accelerator.num_processes

    @torch.no_grad()
    def prove_sharing(self) -> bool:
        """Whether this model computes the same for sequences that share a beginning as for each alone, on the longest
        rows. One that does not (its attention takes no mask, or no positions) is trained with a row for each.

        Of several devices each has the model whole here, in float32, and is the reason why it is divided only after
        this: shards compute in bfloat16, whose rounding hides a mask that is wrong in a few places.
        """
        groups = Together(self.train_dataset, self.learning.seed).groups
        lengths = [sum(len(path.ids) for path in paths(row)) for row in self.train_dataset]
        model = self.model.to(self.accelerator.device).eval()
        for group in sorted(groups, key=lambda group: -max(lengths[row] for row in group)):
            rows = [self.train_dataset[row] for row in group[: self.args.per_device_train_batch_size]]
            batch = self.data_collator(rows)
            if len(batch["predicted"]) + len(batch["value_places"]):  # of a row that is cut there may be nothing left
                break
        scores = []
        for share in (True, False):
            batch = self._prepare_inputs(replace(self.data_collator, share=share)(rows))
            try:
                scores.append(torch.cat(self.scores(model, batch)))
            except torch.OutOfMemoryError:
                raise
            except (TypeError, ValueError, RuntimeError):
                scores.append(torch.full((1,), torch.nan))
        model.train()
        packed, alone = scores
        return packed.shape == alone.shape and bool(((packed - alone).abs() < TOLERANCE).all())

    def prepare(self, references: Path) -> None:
        """Before the first update: how rows are laid out, and what the reference says of them."""
        if not self.prove_sharing():
            self.data_collator = replace(self.data_collator, share=False)
            print("with this model nothing is shared between rows that begin alike: they would differ")
        if self.terms.needs_reference:
            self.refer(references)

    def refer(self, artifact: Path) -> None:
        """Adds log pi_ref of every learnt token to the rows: the model before its first update. `artifact`: where they
        are kept by the row of the lesson, for whoever asks, and for a training that goes on."""
        if not artifact.is_file():
            started = time.monotonic()
            found = self.logprobs(self.model.to(self.accelerator.device))
            if self.is_world_process_zero():
                by_sequence = pa.array(found, type=pa.list_(pa.list_(pa.float32())))
                self._keep(artifact, {"reference": by_sequence})
            self.reference_seconds = time.monotonic() - started
        self.accelerator.wait_for_everyone()
        reference = pq.read_table(artifact)["reference"].to_pylist()
        self.train_dataset = self.train_dataset.add_column("reference", reference)

    def tell_effects(self, artifact: Path) -> None:
        """After the last update, what they all did to each pair: log pi of its chosen and of its rejected side before
        and after, sums over the learnt tokens in nats, kept by the row of the lesson.

        After is of the trained weights before they are rounded to what is published. Of several devices it is of
        shards, which compute in bfloat16 where the reference does not: some tenths of a nat are no effect there.
        """
        after = self.logprobs(self.model_wrapped)
        if self.is_world_process_zero():
            sums = {
                f"{side}_{when}": [math.fsum(pair[at]) for pair in pairs]
                for when, pairs in (("before", self.train_dataset["reference"]), ("after", after))
                for at, side in enumerate(("chosen", "rejected"))
            }
            self._keep(artifact, sums)
        self.accelerator.wait_for_everyone()

    def _keep(self, artifact: Path, columns: Mapping[str, Any]) -> None:
        """A Parquet file of the rows that are trained on, whole or not there."""
        part = artifact.with_suffix(".part")
        pq.write_table(pa.table({"row": list(self.train_dataset["row"]), **columns}), part)
        part.replace(artifact)

    def logprobs(self, model: torch.nn.Module) -> list[list[list[float]]]:
        """By row and sequence: log pi of the learnt tokens. All processes know all of them."""
        is_training = model.training
        found = dict(gather_object(self._of_share(model.eval())))
        model.train(is_training)
        return [found[row] for row in range(len(self.train_dataset))]

    @torch.no_grad()
    def _of_share(self, model: torch.nn.Module) -> list[tuple[int, list[list[float]]]]:
        """`logprobs` of this process's share of the rows, each with its row. All shares are of one size, for of a
        sharded model all processes compute together: two may hold the same row."""
        order = list(Together(self.train_dataset, self.learning.seed))
        size = math.ceil(len(order) / self.accelerator.num_processes)
        at = min(self.accelerator.process_index * size, len(order) - size)
        mine = order[at : at + size]
        found = []
        for first in range(0, len(mine), self.args.per_device_train_batch_size):
            rows = mine[first : first + self.args.per_device_train_batch_size]
            batch = self._prepare_inputs(self.data_collator([self.train_dataset[row] for row in rows]))
            with self.accelerator.autocast():
                tokens, _ = self.scores(model, batch)
            lengths = batch["sequence"].bincount(minlength=len(batch["weight"])).tolist()
            of_sequences = [one.tolist() for one in tokens.float().split(lengths)]
            a_row = len(of_sequences) // len(rows)
            found += [(row, of_sequences[i * a_row : (i + 1) * a_row]) for i, row in enumerate(rows)]
        return found

    def log(self, logs: dict[str, float], *_: Any, **__: Any) -> None:
        """Logs `value_deviation` of V over an update's targets: near 0, V says the same of every step."""
        metrics = self._metrics["train"]
        squares, means = metrics.pop("value_square", None), metrics.pop("value_mean", None)
        if squares:
            mean = sum(means) / len(means)
            metrics["value_deviation"] = [max(sum(squares) / len(squares) - mean * mean, 0.0) ** 0.5]
        super().log(logs)

    def _gather(self, backbone: torch.nn.Module, inputs: Any, output: Any) -> Any:
        """Only the hidden states that predict a learnt token go on to the head; V needs two of its rows.

        What else is made with the head is made here: of shards, its weights are whole in the model's forward pass.
        """
        if self._asked is None:
            return output
        hidden, head = output.last_hidden_state.flatten(0, 1), self.causal.get_output_embeddings()
        asked, self._asked = self._asked, None
        self._values = read_values(head, hidden[asked["value_places"]], *self.words)
        self._hidden = hidden[asked["predicting"]]
        if "before" in asked:
            old = head.original_module if self.start is None else self.start.get_output_embeddings()
            self._divergence = divergence(
                self._hidden, (head.weight, head.bias), asked["before"], (old.weight, old.bias)
            )
        output.last_hidden_state = self._hidden[None]
        return output

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor:
        """Trainer asks before an update's first micro-batch; a count of 0 is 1: a term without a row is 0, not 0/0."""
        counts = torch.tensor(
            [
                sum(len(batch["sequence"]) for batch in batch_samples),
                sum(int((~batch["value_targets"].isnan()).sum()) for batch in batch_samples),
                sum(len(batch["weight"]) for batch in batch_samples) // 2,
            ],
            device=device,
        )
        whole = self.accelerator.gather(counts[None]).sum(0).clamp(min=1)
        self.update_holds = dict(zip(("tokens", "values", "pairs"), whole, strict=True))
        return whole[0]

    def _note(self, name: str, share: torch.Tensor) -> None:
        """TRL logs the mean over an update's micro-batches; each, on each device, holds a share of the whole."""
        whole = self.accelerator.gather(share.detach()).sum() * self.current_gradient_accumulation_steps
        self._metrics["train"][name].append(whole.item())
