"""What `cpl export` takes out trains: stock TRL, one update of each kind of data."""

from pathlib import Path

import pytest
from datasets import load_dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from infra.desk.export.lessons import write
from infra.warehouse import build
from tests.infra.desk.test_export import found
from tests.sql.handmade import ROUND, parquet
from trainers.model_folder import load_model, load_tokenizer


@pytest.mark.parametrize("what", ["pairs", "sft"])
def test_stock_trl_trains_on_an_export(folder: Path, tmp_path: Path, what: str) -> None:
    build(tmp_path / "factory.duckdb", parquet(tmp_path, ROUND))
    (tmp_path / "out").mkdir()
    rows = write(tmp_path / "factory.duckdb", what, found(tmp_path / "factory.duckdb"), tmp_path / "out")
    data = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(data) == rows
    usual = {
        "output_dir": str(tmp_path / "trained"),
        "max_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    columns = ["prompt", "chosen", "rejected"] if what == "pairs" else ["prompt", "completion"]
    options = {"train_dataset": data.select_columns(columns), "processing_class": load_tokenizer(folder)}
    model = load_model(folder)
    trainer = (
        DPOTrainer(model=model, args=DPOConfig(**usual), **options)
        if what == "pairs"
        else SFTTrainer(model=model, args=SFTConfig(**usual), **options)
    )
    trainer.train()
    assert trainer.state.log_history[-1]["train_loss"] > 0
