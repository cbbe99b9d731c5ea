"""Runs vLLM's server (`python -m cpl_server ARGUMENTS…`); on a CPU its core is forked, and so begins a third sooner.

Elsewhere VLLM_WORKER_MULTIPROC_METHOD says how the process begins that holds the model; on a CPU vLLM overwrites it
with "spawn", and that process imports all anew: 9 of the 28 CPU seconds of a start. A fork is safe here, for until then
the server computes nothing with a model. vLLM's reasons against a fork (Ray, NUMA binding) are asked later, and win.
"""

import os
from typing import Any

from vllm.platforms.cpu import CpuPlatform

SPAWNED = CpuPlatform.check_and_update_config.__func__


def forked(platform: type[CpuPlatform], config: Any) -> None:
    """`check_and_update_config`, with the one variable put back that it sets for the process to come."""
    SPAWNED(platform, config)
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"


if __name__ == "__main__":
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
    from vllm.logger import configure_logging_from_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    # `vllm serve`, which starts no program of the CPU's wheel: it looks for a distribution of the name vllm.
    cli_env_setup()
    CpuPlatform.check_and_update_config = classmethod(forked)
    serve, asked = ServeSubcommand(), make_arg_parser(FlexibleArgumentParser()).parse_args()
    configure_logging_from_args(asked)
    serve.validate(asked)
    serve.cmd(asked)
