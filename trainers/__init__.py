"""What runs in its own process, on a GPU or on one CPU core: trainers that know files and nothing of the factory.

Each is `python -m trainers.NAME config.json` or `accelerate launch --config_file … -m trainers.NAME config.json`.
"""

import os

# Before any Hugging Face library is imported: a trainer sends no telemetry and draws no progress bars.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
