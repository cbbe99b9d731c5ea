"""The benchmarks by name: which tasks of the harness each is, and where its rows come from.

Rows: CPL_DATA/NAME/SPLIT.jsonl.gz where that is set and there; else the hub, as the harness has it; else, where no hub
answers, ../shared/data. All splits of a benchmark come from one of them. MATH and GPQA come from the user alone.
"""

import functools
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from tasks.questions.values import QuestionError, short

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

    `scored`: the split that is asked. `examples`: the one whose rows are shown before a question; None: none but what
    the task itself may hold. Of files: the `columns` that the task wants. Of a group: `part_of`, which task a row
    belongs to, and `parts`, what that says for a task by name. Of a row in the harness's columns: `asks`, those that
    hold its question, and `gold`, the answer to it where texts are asked for whose answer can be checked.
    """

    task: str
    folder: str
    hub: str
    columns: Columns
    scored: str = "test"
    examples: str | None = None
    part_of: Callable[[Row], str | None] = lambda row: None
    parts: Callable[[str], str | None] = lambda task: None
    in_sandbox: bool = False
    asks: tuple[str, ...] = ("question",)
    gold: Callable[[Row], str] | None = None


def _mmlu(task: str) -> Benchmark:
    return Benchmark(
        task,
        "mmlu/default",
        "cais/mmlu",
        rows.mmlu,
        examples="dev",
        part_of=rows.subject,
        parts=lambda name: name.removeprefix("mmlu_"),
    )


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "gsm8k": Benchmark(
            "gsm8k",
            "gsm8k",
            "openai/gsm8k",
            rows.gsm8k,
            examples="train",
            gold=lambda row: str(row["answer"]).rpartition("####")[2].strip(),
        ),
        "math": Benchmark(
            "hendrycks_math",
            "hendrycks_math",
            "EleutherAI/hendrycks_math",
            rows.math,
            examples="train",
            part_of=rows.math_task,
            parts=lambda name: name.removeprefix("hendrycks_math_"),
            asks=("problem",),
            gold=lambda row: str(row["answer"]),
        ),
        "math500": Benchmark(
            "hendrycks_math500",
            "hendrycks_math",
            "HuggingFaceH4/MATH-500",
            rows.math,
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
            "gpqa_diamond_zeroshot", "gpqa/zeroshot", "Idavidrein/gpqa", rows.gpqa, scored="train", asks=("Question",)
        ),
        "arc_challenge": Benchmark("arc_challenge", "arc", "allenai/ai2_arc", rows.arc, examples="train"),
        "bbh": Benchmark(
            "bbh_cot_fewshot",
            "bbh/cot_fewshot",
            "SaylorTwift/bbh",
            rows.bbh,
            part_of=rows.bbh_task,
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
            scored="validation",
            examples="train",
            asks=("query",),
        ),
        "boolq": Benchmark(
            "boolq",
            "super_glue/boolq",
            "aps/super_glue",
            rows.boolq,
            scored="validation",
            examples="train",
            asks=("passage", "question"),
        ),
        "piqa": Benchmark(
            "piqa", "piqa", "baber/piqa", rows.piqa, scored="validation", examples="train", asks=("goal",)
        ),
    }
)
_FOLDER_OF = {"mmlu_stem": "mmlu"}
"""Of files that several benchmarks are parts of."""


def content_of(benchmark: str) -> str:
    """Digest of a benchmark's files, or the hub's commit: what a cache key has of it.

    Raises:
        QuestionError: there is no such benchmark, or its rows are nowhere, or some of them; the message says what to
            do.
    """
    one = _named(benchmark)
    files = _files(benchmark, one)
    if files:
        return "+".join(File(files[split]).content() for split in sorted(files))
    if commit := hub_commit(one.hub):
        return commit
    raise QuestionError(
        f"benchmark {benchmark}: its rows are nowhere. No hub answers for {one.hub}"
        f", and {_folder(benchmark)} has no {one.scored}.jsonl.gz. Set "
        "CPL_DATA to a folder that has it, or HF_TOKEN where the hub's set asks for a login, or leave it out"
    )


def size_of(benchmark: str) -> int:
    """How many questions it has. Raises QuestionError as `content_of` does."""
    return sum(len(task.eval_docs) for task in _tasks(benchmark, shots=0))


def texts_and_golds(benchmark: str) -> Iterator[tuple[str, str, str | None]]:
    """Of every question its id, its text without options or examples, and the answer, where texts are asked for whose
    answer can be checked. Raises QuestionError as `content_of` does."""
    one = _named(benchmark)
    for name, (_, _, doc) in _placed(list(_tasks(benchmark, shots=0))).items():
        yield name, "\n".join(str(doc[column]) for column in one.asks), one.gold(doc) if one.gold else None


def refuse_wrong_rows(benchmark: str, shots: int | None = None) -> None:
    """Refuses rows from which the harness cannot ask so many examples and every question.

    Raises:
        QuestionError: as `load`.
    """
    for _ in _tasks(benchmark, shots):
        pass


def load(benchmark: str, *, count: int, seed: int, shots: int | None = None) -> list[Question]:
    """Its questions as the harness asks them: all (0), or `count` of them, spread over a group's tasks by the seed.

    Prompts are those of the whole set, whatever the count: few-shot examples are drawn for all questions in their
    order. `shots`: few-shot examples; None: as many as the harness's task has. A task that says itself that it has
    none shows none, as in the harness.

    Raises:
        QuestionError: as `content_of`; or a row of a file is not what it should be (the message has file and line), or
            a task has no question, or fewer examples than are to be shown.
    """
    random.seed(0)  # the harness's own, by which GPQA's options are shuffled
    tasks = list(_tasks(benchmark, shots))
    placed = _placed(tasks)
    drawn = pl.DataFrame(
        {
            "question_id": list(placed),
            "source": [task.task_name for task, _, _ in placed.values()],
            "level": [""] * len(placed),
        }
    )
    chosen = list(placed) if not count else sample(drawn, count, seed)["question_id"].to_list()
    numbers: dict[str, list[int]] = {}
    for name in chosen:
        task, number, _ = placed[name]
        numbers.setdefault(task.task_name, []).append(number)
    asked = {
        (task.task_name, number): question
        for task in tasks
        for number, question in _asked(task, sorted(numbers.get(task.task_name, ())))
    }
    return [
        Question(benchmark, name, number, *asked[task.task_name, number])
        for name in chosen
        for task, number, _ in [placed[name]]
    ]


def _placed(tasks: Sequence["ConfigurableTask"]) -> dict[str, tuple["ConfigurableTask", int, Row]]:
    """Of every question its name: its own, or where it has none or shares it the task's with its number. And where it
    stands, and its row, which the task makes anew for whoever asks for its rows."""
    places = [(task, number, doc) for task in tasks for number, doc in enumerate(task.eval_docs)]
    times = Counter(doc.get("id") for _, _, doc in places)

    def name(task: "ConfigurableTask", number: int, own: Any) -> str:
        return f"{task.task_name}/{number}" if own is None or times[own] > 1 else str(own)

    return {name(task, number, doc.get("id")): (task, number, doc) for task, number, doc in places}


def _named(benchmark: str) -> Benchmark:
    if benchmark not in BENCHMARKS:
        raise QuestionError(f"no benchmark {benchmark!r} of the harness: there are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[benchmark]


def _tasks(benchmark: str, shots: int | None) -> Iterator["ConfigurableTask"]:
    """The harness's tasks of a benchmark, with their rows, each set to show as many examples as it will."""
    import lm_eval.tasks as harness

    one = _named(benchmark)
    folder = Path(harness.__file__).parent / one.folder
    manager = harness.TaskManager(include_defaults=False, include_path=str(folder))
    files = _files(benchmark, one)
    names = list(_members(manager, one.task))
    parts = None if benchmark in _FOLDER_OF else {one.parts(name) for name in names}
    of_part = {split: _by_part(one, file, parts, is_scored=split == one.scored) for split, file in files.items()}
    for name in names:
        changes: dict[str, Any] = {"dataset_kwargs": {"revision": hub_commit(one.hub)}}
        if files:
            part = one.parts(name)
            if not of_part[one.scored].get(part):
                raise QuestionError(f"{files[one.scored]} has no question{f' of {part}' if part else ''}")
            kept = {split: found.get(part, []) for split, found in of_part.items()}
            changes = {"custom_dataset": functools.partial(_data_set, kept)}
        (task,) = manager.load([{"group": benchmark, "task": [{"task": name, **changes}]}])["tasks"].values()
        own = task.config.num_fewshot
        task.set_config("num_fewshot", own or 0 if shots is None or own == 0 else shots)
        task.set_fewshot_seed(seed=FEW_SHOT_SEED)
        _refuse_too_few_examples(benchmark, one, task)
        yield task


def _refuse_too_few_examples(benchmark: str, one: Benchmark, task: "ConfigurableTask") -> None:
    shown = task.config.num_fewshot
    is_own = task.fewshot_cfg.samples is not None
    if shown and one.examples is None and not is_own:
        raise QuestionError(
            f"benchmark {benchmark} has no examples but the questions that are scored: leave out shots, or make it 0"
        )
    spare = task.fewshot_cfg.split == task.config.test_split  # the harness draws one more there
    there = len(task.sampler.df)
    if shown and there < shown + spare:
        raise QuestionError(
            f"benchmark {benchmark}: {shown} examples are to be shown before each question, and {task.task_name} has "
            f"{there}" + ("" if is_own else f" ({_folder(benchmark)}/{one.examples}.jsonl.gz, or the hub's)")
        )


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


def _by_part(
    one: Benchmark, file: Path, parts: Collection[str | None] | None, *, is_scored: bool
) -> dict[str | None, list[Row]]:
    """A file's rows in the harness's columns, by the part that they belong to. `parts`: that there are; None: others,
    which are left out, may be there, too.

    Raises:
        QuestionError: with file and line.
    """
    found: dict[str | None, list[Row]] = {}
    seen: dict[str, str] = {}
    for where, row in rows_of(file, read_file(file)):
        try:
            part = one.part_of(row)
            if parts is not None and part not in parts:
                raise QuestionError(f"{short(part)} is none of the benchmark's parts")
            name = rows.text(row, "id") if row.get("id") is not None else None
            if is_scored and name in seen:
                raise QuestionError(f"the id {short(name)} stands at {seen[name]}, too")
            found.setdefault(part, []).append({"id": name, "note": "", **one.columns(row)})
        except QuestionError as problem:
            raise QuestionError(f"{where}: {problem}") from None
        if name is not None:
            seen[name] = where
    return found


def _data_set(of_split: Mapping[str, list[Row]], **config: Any) -> Any:
    """The rows of one task, by split. Those that a task may name and nobody asks for are empty."""
    import datasets

    splits = {"train", "validation", "test", "dev"}
    return datasets.DatasetDict({one: datasets.Dataset.from_list(of_split.get(one, [])) for one in splits})


def _files(benchmark: str, one: Benchmark) -> dict[str, Path]:
    """By split, where the benchmark is there and comes before the hub."""
    files = {split: _folder(benchmark) / f"{split}.jsonl.gz" for split in (one.scored, one.examples) if split}
    there = {split: file for split, file in files.items() if file.is_file()}
    if not there or (not data_folder() and hub_commit(one.hub)):
        return {}
    if one.scored not in there:
        raise QuestionError(
            f"benchmark {benchmark}: {_folder(benchmark)} has {one.examples}.jsonl.gz and no {one.scored}.jsonl.gz, "
            "and the two come from one place"
        )
    return there


def _folder(benchmark: str) -> Path:
    return (data_folder() or BESIDE) / _FOLDER_OF.get(benchmark, benchmark)


Asked = tuple["ConfigurableTask", Mapping[str, Any], list["Instance"]]


def _asked(task: "ConfigurableTask", numbers: list[int]) -> Iterator[tuple[int, Asked]]:
    """The requests for some rows of a task, by their numbers.

    Where examples are drawn at random, they are drawn for every row in turn, so that its prompt is that of the whole.
    """
    from lm_eval.api.samplers import FirstNSampler

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
