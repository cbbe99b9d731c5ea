"""What runs in its own process, on a GPU or a CPU. Trainers know files, and of the factory `infra.contract` alone.

Each is `python -m trainers.NAME config.json`; on several GPUs
`accelerate launch --config_file infra/accelerate/fsdp2.yaml -m trainers.NAME config.json`.
"""

import os

# Before any Hugging Face library is imported: a trainer sends no telemetry and draws no progress bars.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# With more busy threads than cores, threads that spin while they wait make a CPU run several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
