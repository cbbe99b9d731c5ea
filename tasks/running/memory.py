"""What trainings need of memory, told before a round searches for days for what it could not learn.

Bytes of one device for the state of a training, activations apart (these are computed anew on a GPU):

    all weights, one GPU      18 a parameter: float32 weights, gradients, AdamW's two means, bfloat16 copies
    all weights, n GPUs       16 a parameter, divided by n; before that 4 + 4 / n, for each has the model whole until it
                              is divided (trainers/trainer.py `prove_sharing`), and 6 where the reference's log-probs
                              are computed with it: float32 weights, bfloat16 copies
    all weights, a CPU        16 a parameter
    lora                      4 a parameter, and 16 for each of the head, which trains in a copy (trainers/adapter.py)
    exact_kl without lora     4 a parameter more: the model that the training starts from

Beside the GPUs the machine's own memory holds next to nothing of a model that is loaded (trainers/model_folder.py).
What is trained is saved from there: 2 a parameter, of several GPUs 6, for the first process gathers float32 weights
before it makes bfloat16 copies of them.

Measured on an H100 with 1.81e9 parameters, 4 rows of 1,024 tokens at once: 33.6e9 bytes, and 32.6e9 by this table; with
`lora = 16` 11.0e9 and 8.9e9.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.contract.training import Training
from infra.environment import device, gpu_memory, gpus, memory
from infra.store import Ref
from tasks.running.trainer import shared_out

GB = 1e9
ROOM = {"cpu": 0.0, "cuda": 3 * GB, "several": 8 * GB}
"""That activations take beside the state, at some 4,000 tokens at once; of several GPUs what is gathered, too."""
MOST_GPUS = 64
USUAL_RANK = 16


class TooLarge(ValueError):
    """A training needs more memory than this machine has; the message says how much, and what would fit."""


@dataclass(frozen=True, slots=True)
class Model:
    """`parameters` of which so many are the head's."""

    parameters: int
    head: int


@dataclass(frozen=True, slots=True)
class Machine:
    """`gpus`: their names, none on a CPU. `gpu`: bytes of the smallest; None: not known. `host`: bytes beside them."""

    gpus: tuple[str, ...]
    gpu: int | None
    host: int

    @classmethod
    def here(cls) -> "Machine":
        names = tuple(gpus()) if device() == "cuda" else ()
        return cls(names, gpu_memory(names) if names else None, memory())


def state(model: Model, training: Training, devices: int, on_gpu: bool = True) -> float:
    """Bytes of each of so many devices."""
    if training.lora:
        return 4.0 * model.parameters + 16.0 * model.head
    start = kept(model, training)
    if devices > 1:
        whole = max(4.0 + 4.0 / devices, 6.0 if training.loss.needs_reference else 0.0)
        return max(16.0 * model.parameters / devices + start, whole * model.parameters)
    return (18.0 if on_gpu else 16.0) * model.parameters + start


def kept(model: Model, training: Training) -> float:
    """Bytes of the model that the training starts from, where it is kept beside the one that is trained."""
    return 4.0 * model.parameters if training.exact_kl and not training.lora else 0.0


def host(model: Model, training: Training, devices: int) -> float:
    """Bytes beside the GPUs: of the trained model in the end, or of the kept one, which every process reads first."""
    return max((6.0 if devices > 1 else 2.0) * model.parameters, kept(model, training) * devices)


def refuse_too_large(base: Ref, trainings: Mapping[str, Training], machine: Machine) -> list[str]:
    """What may not fit, in a sentence for each arm that is in doubt. `base`: the model that the stage *model* made.

    Raises:
        TooLarge: for the first arm that cannot fit.
    """
    model = Model(base.counts["parameters"], base.counts["head"])
    doubts = []
    for name, training in trainings.items():
        devices = 1 if training.lora else len(shared_out(machine.gpus, training.batch_size))
        needs = state(model, training, devices, on_gpu=bool(machine.gpus))
        has, where = (machine.gpu, "a GPU") if machine.gpus else (machine.host, "this machine")
        what = f"{name} trains {model.parameters / GB:.3g}e9 parameters{' with lora' if training.lora else ''}"
        if has and needs > has:
            each = f" on each of {devices} GPUs" if devices > 1 else ""
            raise TooLarge(
                f"{what}: that takes {needs / GB:.1f} GB of memory{each}, and {where} has {has / GB:.1f} GB. "
                f"{ways_out(model, training, machine)}"
            )
        if machine.gpus and host(model, training, devices) > machine.host:
            raise TooLarge(
                f"{what}{f' on {devices} GPUs' if devices > 1 else ''}: beside them, weights take "
                f"{host(model, training, devices) / GB:.1f} GB of the machine's own memory, and it has "
                f"{machine.host / GB:.1f}. {ways_out(model, training, machine, devices)}"
            )
        room = ROOM["several" if devices > 1 else "cuda" if machine.gpus else "cpu"]
        if has and needs + room > has:
            doubts.append(
                f"{name} may run out of memory: {needs / GB:.1f} of {has / GB:.1f} GB are taken before it starts. "
                "If it does, lower micro_batch_size."
            )
    return doubts


def ways_out(model: Model, training: Training, machine: Machine, too_many: int = 0) -> str:
    """In a sentence: the fewest GPUs of this kind that would do, an adapter if that would, a smaller model.

    `too_many`: so many GPUs hold the training, and the machine's own memory does not hold their processes.
    """
    ways = []
    if machine.gpu and not training.lora:
        enough = (
            n for n in range(1 if too_many else 2, too_many or MOST_GPUS + 1)
            if training.batch_size % n == 0
            and state(model, training, n) + ROOM["several" if n > 1 else "cuda"] <= machine.gpu
            and (not too_many or host(model, training, n) <= machine.host)
        )  # fmt: skip
        if fewest := next(enough, None):
            ways.append(f"{fewest} of them alone (CUDA_VISIBLE_DEVICES)" if too_many else f"{fewest} such GPUs")
    adapter = training.model_copy(update={"lora": USUAL_RANK})
    has = machine.gpu or machine.host
    fits = (
        state(model, adapter, 1) + ROOM["cuda" if machine.gpus else "cpu"] <= has
        and host(model, adapter, 1) <= machine.host
    )
    if not training.lora and fits:
        ways.append(f"`lora = {USUAL_RANK}` for this arm ({state(model, adapter, 1) / GB:.1f} GB)")
    ways += ["a machine with more memory"] if too_many else []
    return f"Take {', or '.join([*ways, 'a smaller model'])}."
