"""The stage *harness*: a model answers benchmarks as the lm-evaluation-harness asks them, in their standard prompts.

The harness makes prompts and few-shot examples, takes answers from texts and scores them. Ours are the engine that
answers, the parts that a retry goes on from, the sandbox for programs, and the tables, which *evaluate* fills, too.
"""

import asyncio
import importlib.metadata
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from infra.digest import digest_of
from infra.engine import MOST_STOPS, Likelihood
from infra.sandbox import Sandbox
from infra.store import Ref
from infra.together import together
from tasks.check.programs import Program, ProgramVerdict, judge
from tasks.harness import (
    BENCHMARKS,
    INVALID,
    Encoding,
    Question,
    Reply,
    Score,
    content_of,
    continuations_of,
    ended,
    load,
    loses_beginning,
    metrics_of,
    refuse_wrong_rows,
    scores,
    size_of,
    texts_and_golds,
    texts_of,
)
from tasks.language.format import FORMATS
from tasks.questions.benchmarks import domain_of
from tasks.questions.values import QuestionError
from tasks.running.parts import Part, each_part
from tasks.running.served import ServedPolicy, serve
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.accuracy import PASS, Outcome, Setup, accuracies
from tasks.search.policy import PolicyError
from tasks.settings import Harness


def contents_of(settings: Harness) -> dict[str, str]:
    """The digest of each benchmark's rows, before anything is spent.

    Raises:
        QuestionError: one is unknown, or its rows are nowhere or cannot be asked; the message says what to do.
        NoSandbox: one runs programs, and this machine allows no sandbox.
    """
    contents: dict[str, str] = {one: content_of(one) for one in settings.benchmarks}
    if any(BENCHMARKS[one].in_sandbox for one in contents):
        Sandbox()
    for one in contents:
        refuse_wrong_rows(one, settings.shots)
    return contents


def sizes_of(settings: Harness) -> dict[str, int]:
    """How many questions of each benchmark are asked. Raises QuestionError where the rows of one are nowhere."""
    sizes = {one: size_of(one) for one in settings.benchmarks}
    return {one: min(size, settings.count or size) for one, size in sizes.items()}


@stage("standard_questions", version=1)
def list_standard_questions(workplace: Workplace, contents: dict[str, str]) -> int:
    """All that the harness's benchmarks ask, whatever the count: the tables `asked` and `benchmarks` (of texts, with
    their golds), in columns of those that the stage *benchmarks* makes of the plan form."""
    rows = [
        {"benchmark": benchmark, "question_id": question_id, "question": text, "answer": gold}
        for benchmark, digest in contents.items()
        for question_id, text, gold in _listed(benchmark, digest)
    ]
    listed = pl.DataFrame(rows, schema=dict.fromkeys(("benchmark", "question_id", "question", "answer"), pl.String))
    workplace.write("asked", listed.select("question", "benchmark"))
    workplace.write("benchmarks", listed.select("benchmark", "question_id", "answer").drop_nulls("answer"))
    return listed.height


def _listed(benchmark: str, digest: str) -> Iterable[tuple[str, str, str | None]]:
    _refuse_changed(benchmark, digest)
    return texts_and_golds(benchmark)


def _refuse_changed(benchmark: str, digest: str) -> None:
    if content_of(benchmark) != digest:
        raise QuestionError(f"benchmark {benchmark}: its rows changed while the round ran; run it again")


@stage("harness", version=6, task_run_name="harness-{name}")
def answer_benchmarks(
    workplace: Workplace, model: Ref, name: str, contents: dict[str, str], sources: tuple[str, ...], settings: Harness
) -> int:
    """Answers of one model: tables `evaluations` and `evaluation_samples`, of form standard.

    `contents`: of `contents_of`. `sources`: of the round's questions; a test set of one of them is in domain.
    """
    splits: dict[str, str] = {benchmark: domain_of(f"{benchmark}/test", sources) for benchmark in settings.benchmarks}
    sandbox = Sandbox() if any(BENCHMARKS[one].in_sandbox for one in settings.benchmarks) else None
    asked: dict[str, Question] = {}
    for benchmark in settings.benchmarks:
        _refuse_changed(benchmark, contents[benchmark])
        for question in load(benchmark, count=settings.count, seed=settings.seed, shots=settings.shots):
            asked[question.key] = question

    async def run() -> str | None:
        async with serve(workplace, model, FORMATS["plan"]) as served:
            prompts, engine = served.prompts, served.engine
            encoding = Encoding(prompts.tokenizer, prompts.start, engine.words.eos, engine.max_tokens)
            notes = await asyncio.to_thread(lambda: list(notes_of(asked.values(), encoding, settings.shots)))
            workplace.facts["notes"] = notes
            for note in notes:
                workplace.log.warning(note)

            async def work(question: Question, place: int) -> Part:
                return await sample(question, place, name, splits, served, encoding, sandbox)

            await each_part(workplace, asked, work, what=f"Benchmarks of {name}", note=served.account)
            workplace.write("engine_use", served.use(f"harness_{name}", len(asked)))
            return await engine.version()

    engine = asyncio.run(run())
    samples = workplace.written("evaluation_samples")
    versions: dict[str, set[str]] = {}
    for question in asked.values():
        versions.setdefault(question.benchmark, set()).add(question.version)
    made = [
        accuracies(
            samples.filter(benchmark=benchmark),
            Setup(
                digest_of(settings.model_dump(mode="json")),
                engine,
                harness=importlib.metadata.version("lm-eval"),
                task_version=", ".join(sorted(of_tasks)),
            ),
        )
        for benchmark, of_tasks in versions.items()
    ]
    workplace.write("evaluations", pl.concat(made))
    return samples.height


def notes_of(asked: Iterable[Question], encoding: Encoding, shots: int | None) -> Iterator[str]:
    """What a reader of the scores must know of the prompts.

    Raises:
        QuestionError: a benchmark's texts leave no room for a prompt in the model's context.
    """
    for benchmark, questions in itertools.groupby(asked, lambda one: one.benchmark):
        of_benchmark = list(questions)
        if shots and not of_benchmark[0].shots:
            yield f"{benchmark} is asked without examples, as its task in the harness says, whatever shots is ({shots})"
        if cut := sum(loses_beginning(one, encoding) for one in of_benchmark):
            yield (
                f"{benchmark}: {cut} of {len(of_benchmark)} prompts lost their beginning, for the model's context has "
                f"room for {encoding.room} tokens"
            )


async def sample(
    question: Question,
    place: int,
    model: str,
    splits: Mapping[str, str],
    policy: ServedPolicy,
    encoding: Encoding,
    sandbox: Sandbox | None,
) -> Part:
    """One question's answer: a row of `evaluation_samples` for each metric."""
    started = time.monotonic()
    given, error = Given([], "", 0, False, []), None
    found: list[tuple[Score, Outcome]] = []
    try:
        given = await (weighed if question.is_chosen else written)(question, place, policy, encoding)
        seconds = time.monotonic() - started
        found = await scored(question, given, sandbox)
    except PolicyError as problem:
        error, seconds = str(problem), time.monotonic() - started
        names = [PASS] if sandbox and BENCHMARKS[question.benchmark].in_sandbox else metrics_of(question)
        found = [(Score(one, 0.0, None), Outcome.FAILED) for one in names]
    asked = {
        "model": model,
        "benchmark": question.benchmark,
        "split": splits[question.benchmark],
        "form": "standard",
        "shots": question.shots,
        "question_id": question.id,
        "draw": 0,
        "cluster": None,
        "question": str(question.task.doc_to_text(question.doc)),
        "kinds": [question.task.task_name] if question.task.task_name != question.benchmark else [],
        "prompt_digest": digest_of(given.prompts),
        "output": given.output,
        "generated_tokens": given.generated_tokens,
        "seconds": seconds,
        "error": error,
    }
    rows = [
        asked
        | {
            "metric": score.metric,
            "answer": score.answer,
            "outcome": outcome,
            "is_correct": None if error else outcome is Outcome.RIGHT,
        }
        for score, outcome in found
    ]
    return Part({"evaluation_samples": rows}, error)


@dataclass(frozen=True, slots=True)
class Given:
    """What a model gave to one question: a list of replies an instance of it. `is_cut`: every text met its limit."""

    replies: list[list[Reply]]
    output: str
    generated_tokens: int
    is_cut: bool
    prompts: list[list[int]]


async def weighed(question: Question, place: int, policy: ServedPolicy, encoding: Encoding) -> Given:
    """The log-probs of its continuations; the output has them by their texts."""
    groups = continuations_of(question, encoding)
    told = await together(
        policy.likelihoods(group.prompt_ids, group.continuations, session=question.id, priority=place)
        for group in groups
    )
    of_place: dict[int, Likelihood] = {}
    for group, likelihoods in zip(groups, told, strict=True):
        of_place |= dict(zip(group.places, likelihoods, strict=True))
    ordered = [of_place[place] for place in range(len(of_place))]
    replies: list[list[Reply]] = [[(one.logprob, one.is_greedy)] for one in ordered]
    logprobs = [
        {"continuation": instance.args[1], "logprob": one.logprob}
        for instance, one in zip(question.instances, ordered, strict=True)
    ]
    return Given(replies, json.dumps(logprobs), 0, False, [group.prompt_ids for group in groups])


async def written(question: Question, place: int, policy: ServedPolicy, encoding: Encoding) -> Given:
    """Its texts, without the tokens that only an engine sees, up to the first string that ends them."""
    asked = texts_of(question, encoding)
    told = await together(
        policy.complete(
            one.prompt_ids,
            n=one.samples,
            stop=one.until[:MOST_STOPS],  # the others cost tokens that are cut off here
            max_tokens=one.max_tokens,
            temperature=one.temperature,
            session=question.id,
            priority=place,
            scored=False,
        )
        for one in asked
    )
    completions = [
        (one, request.until) for request, reply in zip(asked, told, strict=True) for one in reply.completions
    ]
    whole = [encoding.decode(one.token_ids) for one, _ in completions]
    texts = [ended(text, until) for text, (_, until) in zip(whole, completions, strict=True)]
    of_each = iter(texts)
    return Given(
        [list(itertools.islice(of_each, len(reply.completions))) for reply in told],
        texts[0],
        sum(len(one.token_ids) for one, _ in completions),
        all(one.finish_reason == "length" for one, _ in completions) and texts == whole,
        [one.prompt_ids for one in asked],
    )


async def scored(question: Question, given: Given, sandbox: Sandbox | None) -> list[tuple[Score, Outcome]]:
    """By each metric: right or wrong, and in which way."""
    if sandbox is not None and BENCHMARKS[question.benchmark].in_sandbox:
        doc = question.doc
        name = doc["entry_point"]
        program = Program(doc["prompt"], given.output, f"{doc['test']}\ncheck({name})\n", name)
        verdict = (await judge(program, sandbox)).verdict
        passed = verdict is ProgramVerdict.PASSED
        return [(Score(PASS, float(passed), str(verdict)), Outcome.RIGHT if passed else Outcome.WRONG)]
    return [(score, _outcome(score, given.is_cut)) for score in scores(question, given.replies)]


def _outcome(score: Score, is_cut: bool) -> Outcome:
    if score.value == 1.0:
        return Outcome.RIGHT
    if is_cut:
        return Outcome.TRUNCATED
    return Outcome.UNPARSABLE if score.answer == INVALID else Outcome.WRONG
