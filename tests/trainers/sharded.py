"""A trainer sharded by FSDP2 as on GPUs, with two processes on a CPU (gloo) in their place.

python -m torch.distributed.run --nproc_per_node 2 -m tests.trainers.sharded PRECISION CONFIG

What accelerate would set from infra/accelerate/fsdp2.yaml comes by the environment (`environment`). The type of the
log-probs that leave the sharded model is printed.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

YAML = Path(__file__).parents[2] / "infra" / "accelerate" / "fsdp2.yaml"


def environment(precision: str) -> dict[str, str]:
    """The variables that `accelerate launch` makes of the file, but for the device and the precision."""
    sharding = yaml.safe_load(YAML.read_text())["fsdp_config"]
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in sharding.items()}
    return {name.upper(): text for name, text in texts.items()} | {
        "ACCELERATE_USE_FSDP": "true",
        "ACCELERATE_USE_CPU": "true",
        "ACCELERATE_MIXED_PRECISION": precision,
        "OMP_NUM_THREADS": "1",
    }


def shard_on_a_cpu() -> None:
    """Accelerate shards only what it takes for GPUs."""
    from accelerate.state import DistributedType, PartialState

    begin = PartialState.__init__

    def as_gpus(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = as_gpus


def main(precision: str, config: str) -> int:
    shard_on_a_cpu()
    from trainers import training
    from trainers.config import main as run_trainer
    from trainers.learn import Learn, train

    arguments, run = training.arguments, training.run

    def on_gpus(config: Any) -> dict[str, Any]:
        return arguments(config) | {"bf16": precision == "bf16", "activation_checkpointing": True}

    def watched(trainer: Any, *rest: Any) -> None:
        compute = trainer.compute_loss

        def compute_loss(model: Any, *args: Any, **kwargs: Any) -> Any:
            def tell(module: Any, given: Any, output: Any) -> None:
                print("log_probs", output["log_probs"].dtype, flush=True)

            handle = model.register_forward_hook(tell)
            try:
                return compute(model, *args, **kwargs)
            finally:
                handle.remove()

        trainer.compute_loss = compute_loss
        run(trainer, *rest)

    training.arguments, training.run = on_gpus, watched  # type: ignore[assignment]
    return run_trainer(Learn, train, "", [config])


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
