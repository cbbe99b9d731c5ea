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
    from vllm.entrypoints.launchers.api_server.entry import main

    CpuPlatform.check_and_update_config = classmethod(forked)
    main()
