"""`cpl round`, `cpl preview`, `cpl study`: start a run as `prefect deployment run` does, follow it, show its result."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any field of the recipe, e.g. --set questions.held_out=0.2 --set evaluation.count=100."
    ),
]


Model = Annotated[str | None, typer.Option(help="micro, smollm2, a model folder or a hub id. Default: micro.")]
Source = Annotated[str | None, typer.Option(help="micro, gsm8k, math, a file, hub:OWNER/NAME. Default: the recipe's.")]
Count = Annotated[int | None, typer.Option(help="Questions in the round.")]
RecipeName = Annotated[str | None, typer.Option(help="A file of flows/recipes/. Default: the one for the model.")]
Campaign = Annotated[str | None, typer.Option(help="Its rounds build on each other. Default: named after the model.")]
Number = Annotated[
    int | None, typer.Option("--round", help="Number of the round. Default: the next that is not published.")
]


def round_(
    model: Model = None,
    questions: Source = None,
    count: Count = None,
    recipe: RecipeName = None,
    campaign: Campaign = None,
    round: Number = None,
    repeat: Annotated[int | None, typer.Option(help="Another number draws other samples.")] = None,
    shards: Annotated[int | None, typer.Option(help="Machines that search at once, each on its engines.")] = None,
    train_apart: Annotated[
        bool | None, typer.Option("--train-apart", help="Train in runs of their own, on GPUs that wait for them.")
    ] = None,
    approve: Annotated[
        bool | None, typer.Option("--approve", help="Wait after the search for you to see what would be learnt.")
    ] = None,
    changes: Setting = None,
) -> None:
    """Run one round on the local stack, follow it to its end, and print its results."""
    from infra.desk.ask import show

    given = {"model": model, "campaign": campaign, "round": round, "repeat": repeat, "shards": shards}
    given |= {"train_apart": train_apart, "approve": approve}
    _followed("cpl/round", _given(given) | _recipe(recipe, questions, count, changes))
    show()


def preview(
    model: Model = None,
    questions: Source = None,
    count: Count = None,
    recipe: RecipeName = None,
    campaign: Campaign = None,
    round: Number = None,
    handful: Annotated[
        int | None, typer.Option(help="Questions that are tried at most. Default: 32, or half.", min=2)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="How long a search is timed with all questions at once. Default: 12.")
    ] = None,
    changes: Setting = None,
) -> None:
    """Try a handful of a round's questions in all stages, and print what the round makes and what it would take.

    Shown are a prompt as text and tokens, a tree, a pair and a row that is learnt; predicted are tokens, seconds and
    GPU hours. Nothing is published. Other options are the round's own.
    """
    given = {"model": model, "campaign": campaign, "round": round, "handful": handful, "seconds": seconds}
    typer.echo(
        _page(_followed("cpl-preview/preview", _given(given) | _recipe(recipe, questions, count, changes)), "result")
    )


def evaluate(
    model: Annotated[str, typer.Argument(help="micro, smollm2, a folder, a hub id, or CAMPAIGN/ROUND/NAME.")],
    standard: Annotated[
        list[str] | None, typer.Option(help="A benchmark in its standard prompts: gsm8k, mmlu_stem… Repeat it.")
    ] = None,
    plan: Annotated[
        list[str] | None, typer.Option(help="A benchmark in the plan format: bbh, gsm8k/test, a file… Repeat it.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Questions of each at most; 0: all. Default: 100.")] = None,
    shots: Annotated[
        int | None, typer.Option(help="Worked examples in standard prompts. Default: the harness's.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="How the plan format is asked, e.g. --set decoding=beam --set beams=4. Default: greedily."
        ),
    ] = None,
) -> None:
    """Score any model on any benchmarks, without a round, and print the scores.

    Standard prompts are those of the lm-evaluation-harness: gsm8k, math, math500, humaneval, gpqa_diamond,
    arc_challenge, bbh, mmlu, mmlu_stem, hellaswag, boolq, piqa. Each can be asked in the plan format, too. A run that
    is ended goes on where it stopped.
    """
    if not standard and not plan:
        raise typer.BadParameter("say what to ask: --standard arc_challenge, or --plan gsm8k/test")
    if changes and not plan:
        raise typer.BadParameter("--set says how the plan format is asked: say what is asked in it, --plan gsm8k/test")
    how = dict(_setting(one) for one in changes) if changes else None
    given = {"model": model, "standard": standard, "plan": plan, "count": count, "shots": shots, "how": how}
    typer.echo(_page(_followed("cpl-evaluate/evaluate", _given(given)), "result"))


def study(name: Annotated[str, typer.Argument(help="A file of flows/studies/, or the path of one.")] = "micro") -> None:
    """Run a study on the local stack, follow it to its end, and print its report.

    It compares methods over seeds from one base model. Rounds that are made are found again: a study that was ended
    goes on where it stopped.
    """
    where = str(Path(name).absolute()) if name.endswith(".toml") else name  # the worker stands elsewhere
    typer.echo(_page(_followed("cpl-study/study", {"study": where}), "result"))


def _followed(deployment: str, parameters: dict[str, Any]) -> UUID:
    """Starts the stack where it does not run, and a run of the deployment; prints how it goes on. Its id, when it is
    completed; else the command ends."""
    from rich.console import Console

    from infra.desk.display import visible
    from infra.environment import Environment, environment
    from infra.stack.local import Stack, StackError

    console = Console(soft_wrap=True, highlight=False)
    stack = Stack(Environment().home, Path.cwd())
    try:
        stack.up(console.print)
    except (StackError, OSError) as problem:
        console.print(visible(str(problem)), style="red", markup=False)
        raise typer.Exit(1) from problem
    environment()  # reads what `up` wrote; Prefect reads its settings when it is imported, so that comes after

    from prefect.exceptions import PrefectHTTPStatusError

    from infra.desk.follow import OutOfSight, UnknownField, follow, start

    try:
        run = start(deployment, parameters)
    except (PrefectHTTPStatusError, UnknownField) as problem:
        why = problem.response.text if isinstance(problem, PrefectHTTPStatusError) else problem
        console.print(visible(f"The run was not accepted: {why}"), style="red", markup=False)
        raise typer.Exit(1) from problem
    console.print(f"flow run {run.name}: {stack.ui}/runs/flow-run/{run.id}")
    try:
        state = follow(run, console)
    except OutOfSight as problem:
        console.print(visible(f"Followed no more: {problem}."), style="red", markup=False)
        raise typer.Exit(1) from problem
    if not state.is_completed():
        console.print(visible(f"{state.name}: {state.message}"), style="red", markup=False)
        console.print(f"When the cause is gone, retry it where it stopped: prefect flow-run retry {run.id}")
        raise typer.Exit(1)
    return run.id


def _page(run: UUID, key: str) -> str:
    """What a flow run shows on its page under that key."""
    from infra.desk.display import visible
    from infra.desk.follow import page

    return visible(page(run, key))


def _recipe(name: str | None, questions: str | None, count: int | None, changes: list[str] | None) -> dict[str, Any]:
    """The parameter `recipe` of a flow."""
    fields = {"questions.source": questions, "questions.count": count, **dict(_setting(one) for one in changes or [])}
    return {"recipe": {name or "by model": nested(_given(fields))}}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not FIELD=VALUE, e.g. evidence.trees.c_puct=1.25")
    if name.endswith(".select") and value.endswith(".sql"):
        try:
            return name, Path(value).read_text()  # the worker stands elsewhere
        except (OSError, UnicodeDecodeError) as problem:
            raise typer.BadParameter(f"{name}: {value}: {problem}") from None
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """{"a.b.c": 1, "d": 2} as {"a": {"b": {"c": 1}}, "d": 2}. BadParameter where "a" is given beside "a.b"."""
    result: dict[str, Any] = {}
    for name, value in sorted(flat.items()):
        *above, field = name.split(".")
        fields = result
        for depth, part in enumerate(above, 1):
            fields = fields.setdefault(part, {})
            if not isinstance(fields, dict):
                raise typer.BadParameter(f"{'.'.join(above[:depth])} is given as a whole, and {name} beside it")
        fields[field] = value
    return result
