"""The benchmarks by name: which tasks of the harness each is, and where its rows come from.

Rows: CPL_DATA/NAME/SPLIT.jsonl.gz where that is set and there; else the hub, as the harness has it; else, where no hub
answers, ../shared/data. MATH and GPQA come from the user alone.
"""

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from tasks.harness import rows
from tasks.harness.asked import Question
from tasks.harness.rows import Columns, Row
from tasks.questions.places import BESIDE, File, data_folder, hub_commit
from tasks.questions.sampling import sample
from tasks.questions.tables import read_file, rows_of
from tasks.questions.values import QuestionError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

FEW_SHOT_SEED = 1234
"""With which the harness chooses its examples where nothing else is said."""
OWN = Path(__file__).parent / "own"
"""Tasks that the harness has not, or that run code where it runs them."""


@dataclass(frozen=True)
class Benchmark:
    """`task`: a task, group or tag of the harness, in a folder of its tasks. `hub`: the data set there.

    Of files: `splits` that the task reads, the `columns` that it wants. Of a group: `part_of`, which task a row
    belongs to, and `parts`, what that says for a task by name. `changes`: to the task where rows come from files. Of a
    row in the harness's columns: `asks`, those that hold its question, and `gold`, the answer to it where texts are
    asked for whose answer can be checked.
    """

    task: str
    folder: str
    hub: str
    columns: Columns
    splits: tuple[str, ...] = ("test",)
    part_of: Callable[[Row], str | None] = lambda row: None
    parts: Callable[[str], str | None] = lambda task: None
    changes: Mapping[str, Any] | None = None
    in_sandbox: bool = False
    asks: tuple[str, ...] = ("question",)
    gold: Callable[[Row], str] | None = None


_NO_TRAIN = MappingProxyType({"training_split": None})


def _mmlu(task: str) -> Benchmark:
    return Benchmark(
        task,
        "mmlu/default",
        "cais/mmlu",
        rows.mmlu,
        ("dev", "test"),
        part_of=lambda row: str(row["meta"]["subject"]),
        parts=lambda name: name.removeprefix("mmlu_"),
    )


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "gsm8k": Benchmark(
            "gsm8k",
            "gsm8k",
            "openai/gsm8k",
            rows.gsm8k,
            ("train", "test"),
            gold=lambda row: str(row["answer"]).rpartition("####")[2].strip(),
        ),
        "math": Benchmark(
            "hendrycks_math",
            "hendrycks_math",
            "EleutherAI/hendrycks_math",
            rows.math,
            ("train", "test"),
            part_of=lambda row: rows.MATH_TASKS[row["type"]],
            parts=lambda name: name.removeprefix("hendrycks_math_"),
            asks=("problem",),
            gold=lambda row: str(row["answer"]),
        ),
        "math500": Benchmark(
            "hendrycks_math500",
            "hendrycks_math",
            "HuggingFaceH4/MATH-500",
            rows.math,
            changes=_NO_TRAIN,
            asks=("problem",),
            gold=lambda row: str(row["answer"]),
        ),
        "humaneval": Benchmark(
            "humaneval_in_sandbox",
            str(OWN),
            "openai/openai_humaneval",
            rows.humaneval,
            in_sandbox=True,
            asks=("prompt",),
        ),
        "gpqa_diamond": Benchmark(
            "gpqa_diamond_zeroshot", "gpqa/zeroshot", "Idavidrein/gpqa", rows.gpqa, ("train",), asks=("Question",)
        ),
        "arc_challenge": Benchmark(
            "arc_challenge", "arc", "allenai/ai2_arc", rows.arc, ("train", "validation", "test")
        ),
        "bbh": Benchmark(
            "bbh_cot_fewshot",
            "bbh/cot_fewshot",
            "SaylorTwift/bbh",
            rows.bbh,
            part_of=lambda row: str(row["meta"]["task"]),
            parts=lambda name: name.removeprefix("bbh_cot_fewshot_"),
            asks=("input",),
            gold=lambda row: str(row["target"]),
        ),
        "mmlu": _mmlu("mmlu"),
        "mmlu_stem": _mmlu("mmlu_stem"),
        "hellaswag": Benchmark(
            "hellaswag",
            "hellaswag",
            "Rowan/hellaswag",
            rows.hellaswag,
            ("validation",),
            changes=_NO_TRAIN | {"process_docs": None},
            asks=("query",),
        ),
        "boolq": Benchmark(
            "boolq",
            "super_glue/boolq",
            "aps/super_glue",
            rows.boolq,
            ("validation",),
            changes=_NO_TRAIN,
            asks=("passage", "question"),
        ),
        "piqa": Benchmark("piqa", "piqa", "baber/piqa", rows.piqa, ("validation",), changes=_NO_TRAIN, asks=("goal",)),
    }
)
_FOLDER_OF = {"mmlu_stem": "mmlu"}
"""Of files that several benchmarks are parts of."""


def content_of(benchmark: str) -> str:
    """Digest of a benchmark's files, or the hub's commit: what a cache key has of it.

    Raises:
        QuestionError: there is no such benchmark, or its rows are nowhere; the message says what to do.
    """
    one = _named(benchmark)
    files = _files(benchmark, one)
    if files:
        return "+".join(File(files[split]).content() for split in sorted(files))
    if commit := hub_commit(one.hub):
        return commit
    raise QuestionError(
        f"benchmark {benchmark}: its rows are nowhere. No hub answers for {one.hub}"
        f", and {_folder(benchmark)} has not all of {', '.join(f'{split}.jsonl.gz' for split in one.splits)}. Set "
        "CPL_DATA to a folder that has them, or HF_TOKEN where the hub's set asks for a login, or leave it out"
    )


def size_of(benchmark: str) -> int:
    """How many questions it has. Raises QuestionError as `content_of` does."""
    return sum(len(task.eval_docs) for task in _tasks(benchmark))


def texts_and_golds(benchmark: str) -> Iterator[tuple[str, str, str | None]]:
    """Of every question its id, its text without options or examples, and the answer, where texts are asked for whose
    answer can be checked. Raises QuestionError as `content_of` does."""
    one = _named(benchmark)
    for task in _tasks(benchmark):
        for name, doc in zip(_names(task), task.eval_docs, strict=True):
            yield name, "\n".join(str(doc[column]) for column in one.asks), one.gold(doc) if one.gold else None


def load(benchmark: str, *, count: int, seed: int, shots: int | None = None) -> list[Question]:
    """Its questions as the harness asks them: all (0), or `count` of them, spread over a group's tasks by the seed.

    Prompts are those of the whole set, whatever the count: few-shot examples are drawn for all questions in their
    order. `shots`: few-shot examples; None: as many as the harness's task has.

    Raises:
        QuestionError: as `content_of`; or a task has no examples to show.
    """
    random.seed(0)  # the harness's own, by which GPQA's options are shuffled
    tasks = list(_tasks(benchmark))
    places = {name: (task, number) for task in tasks for number, name in enumerate(_names(task))}
    drawn = pl.DataFrame(
        {
            "question_id": list(places),
            "source": [task.task_name for task, _ in places.values()],
            "level": [""] * len(places),
        }
    )
    chosen = list(places) if not count else sample(drawn, count, seed)["question_id"].to_list()
    numbers: dict[str, list[int]] = {}
    for name in chosen:
        task, number = places[name]
        numbers.setdefault(task.task_name, []).append(number)
    asked = {
        (task.task_name, number): question
        for task in tasks
        for number, question in _asked(benchmark, task, sorted(numbers.get(task.task_name, ())), shots)
    }
    return [Question(benchmark, name, *asked[places[name][0].task_name, places[name][1]]) for name in chosen]


def _named(benchmark: str) -> Benchmark:
    if benchmark not in BENCHMARKS:
        raise QuestionError(f"no benchmark {benchmark!r} of the harness: there are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[benchmark]


def _tasks(benchmark: str) -> Iterator["ConfigurableTask"]:
    """The harness's tasks of a benchmark, with their rows."""
    import lm_eval.tasks as harness

    one = _named(benchmark)
    folder = Path(harness.__file__).parent / one.folder
    manager = harness.TaskManager(include_defaults=False, include_path=str(folder))
    files = _files(benchmark, one)
    for name in _members(manager, one.task):
        changes: dict[str, Any] = {"dataset_kwargs": {"revision": hub_commit(one.hub)}}
        if files:
            changes = {"custom_dataset": functools.partial(_rows_of, benchmark, name), **(one.changes or {})}
        yield from manager.load([{"group": benchmark, "task": [{"task": name, **changes}]}])["tasks"].values()


def _members(manager: "TaskManager", name: str) -> Iterator[str]:
    """The tasks that a name of the harness stands for: itself, or those of a group or tag, in their order."""
    from lm_eval.tasks._index import Kind
    from lm_eval.tasks._yaml_loader import load_yaml

    entry = manager.task_index[name]
    if entry.kind is Kind.TAG:
        yield from sorted(entry.tags)
    elif entry.kind is Kind.GROUP:
        for one in load_yaml(entry.yaml_path, resolve_func=False)["task"]:
            yield from _members(manager, one if isinstance(one, str) else one["group"])
    else:
        yield name


def _rows_of(benchmark: str, task: str, **config: Any) -> Any:
    """The rows of one task, by split, in the harness's columns."""
    import datasets

    one = _named(benchmark)
    part = one.parts(task)
    splits = {}
    for split, file in _files(benchmark, one).items():
        kept = [row for row in _read(file) if part is None or one.part_of(row) == part]
        splits[split] = datasets.Dataset.from_list([{"id": row["id"], **one.columns(row)} for row in kept])
    return datasets.DatasetDict(splits)


@functools.cache
def _read(file: Path) -> list[Row]:
    return [row for _, row in rows_of(file, read_file(file))]


def _files(benchmark: str, one: Benchmark) -> dict[str, Path]:
    """By split, where all of them are there and come before the hub."""
    files = {split: _folder(benchmark) / f"{split}.jsonl.gz" for split in one.splits}
    is_there = bool(files) and all(file.is_file() for file in files.values())
    return files if is_there and (data_folder() or not hub_commit(one.hub)) else {}


def _folder(benchmark: str) -> Path:
    return (data_folder() or BESIDE) / _FOLDER_OF.get(benchmark, benchmark)


def _names(task: "ConfigurableTask") -> Iterator[str]:
    """Of its rows, in their order: each its own, or the task's with its number."""
    for number, doc in enumerate(task.eval_docs):
        yield str(doc.get("id") or f"{task.task_name}/{number}")


Asked = tuple["ConfigurableTask", Mapping[str, Any], list["Instance"]]


def _asked(
    benchmark: str, task: "ConfigurableTask", numbers: list[int], shots: int | None
) -> Iterator[tuple[int, Asked]]:
    """The requests for some rows of a task, by their numbers.

    Where examples are drawn at random, they are drawn for every row in turn, so that its prompt is that of the whole.
    """
    from lm_eval.api.samplers import FirstNSampler

    task.set_fewshot_seed(seed=FEW_SHOT_SEED)
    if shots is not None or task.config.num_fewshot is None:
        task.set_config("num_fewshot", shots or 0)
    if not numbers:
        return
    is_drawn = task.config.num_fewshot and not isinstance(task.sampler, FirstNSampler)
    task.build_all_requests(samples=None if is_drawn else numbers)
    by_number: dict[int, list[Instance]] = {}
    for instance in task.instances:
        by_number.setdefault(instance.doc_id if is_drawn else numbers[instance.doc_id], []).append(instance)
    for number in numbers:
        instances = sorted(by_number[number], key=lambda one: int(one.idx))
        yield number, (task, instances[0].doc, instances)
