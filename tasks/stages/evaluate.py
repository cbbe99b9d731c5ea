"""The stage *evaluate*: every model answers every benchmark question in the same way, and every sample is stored.

What counts, whatever the decoding: the answer in the \\boxed{} of a solution that is ended, after at most
`max_depth - 1` well-formed steps. So a box in a plan that was cut off counts no more than one in an invented next
question. Where a program is asked for, it is the solution's last block of code, and the tests that it passes judge it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from infra.digest import digest_of
from infra.sandbox import Sandbox
from infra.store import Ref
from infra.together import together
from tasks.check import Checker, Verdict
from tasks.check.programs import ProgramVerdict, written
from tasks.check.programs import judge as run_tests
from tasks.language.format import FORMATS, QUESTION_OPEN, SOLUTION_CLOSE, STEPS, Kind, format_of
from tasks.language.leak import leaks_answer
from tasks.lessons.searched import Row
from tasks.running.allowance import Allowance
from tasks.running.parts import Part, each_part, rows_kept
from tasks.running.served import SearchPolicy, ServedPolicy, judge, sandbox_for, serve_both, verdict_on
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.accuracy import PASS, Outcome, Setup, accuracies
from tasks.scoring.spending import curves, curves_of_beams
from tasks.search.beam import best_solution, majority_solution, votes
from tasks.search.grow import Task, grow
from tasks.search.policy import ContextFull, PolicyError
from tasks.search.tree import Node, Tree
from tasks.settings import Evaluation, Search

CHOOSES = {"benchmarks", "columns", "count", "out_of_domain_count", "seed", "repeat", "narrower_beams"}
"""Settings that choose what is asked. `evaluations.settings` is of the others: how what is scored is asked."""


@stage("evaluate", version=21, task_run_name="evaluate-{name}")
def evaluate(
    workplace: Workplace, model: Ref, name: str, benchmarks: Ref, settings: Evaluation, value: Ref | None = None
) -> int:
    """Answers of one model to every benchmark: tables `evaluations` and `evaluation_samples`. Of decodings that sample
    whole trajectories all of these, and what fewer would have answered: `evaluation_trajectories`, `evaluation_curves`.
    Of a beam search with narrower ones each of these: `evaluation_beams`, `evaluation_curves`.

    `value`: a separate value model that guides the decodings by V, in the place of the model's own.
    """
    asked = {question["question_id"]: question for question in workplace.read(benchmarks, "benchmarks").to_dicts()}
    sandbox = sandbox_for(question["specification"] for question in asked.values())

    async def run() -> Setup:
        allowance = allowance_for(settings, len(asked), rows_kept(workplace, asked.keys(), "evaluation_trajectories"))
        format = FORMATS[settings.steps]
        async with serve_both(workplace, model, value, format) as (served, judging), Checker() as checker:

            async def work(question: Row, place: int) -> Part:
                return await sample(question, place, name, served, checker, settings, judging, sandbox, allowance)

            await each_part(workplace, asked, work, what=f"Evaluation of {name}", note=served.account)
            workplace.write("engine_use", served.use(f"evaluate_{name}", len(asked)))
            return Setup(digest_of(settings.model_dump(mode="json", exclude=CHOOSES)), await served.engine.version())

    setup = asyncio.run(run())
    samples = workplace.written("evaluation_samples")
    workplace.write("evaluations", accuracies(samples, setup))
    if settings.tells_of_fewer:
        workplace.write(
            "evaluation_curves", curves(workplace.written("evaluation_trajectories"), by_value=settings.by_value)
        )
    if settings.narrower_beams:
        workplace.write("evaluation_curves", curves_of_beams(workplace.written("evaluation_beams")))
    workplace.facts["undecided"] = samples.filter(outcome=Outcome.UNDECIDED).height
    return samples.height


def allowance_for(
    settings: Evaluation, questions: int, kept: Mapping[str, int] = MappingProxyType({})
) -> Allowance | None:
    """What questions share that are adaptively decoded. `kept`: by question that was answered before, its samples."""
    if settings.decoding != "adaptive":
        return None
    left = sum(settings.samples * settings.draws - samples for samples in kept.values())
    return Allowance(settings.samples, (questions - len(kept)) * settings.draws, left)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says to a question: its steps and their end, the answer, and the tokens that it took to find it.

    `is_cut`: a limit of tokens or steps ended it before there was an answer. `tree`: of a search, what was sampled, in
    so many `trajectories`.
    """

    output: str
    answer: str | None
    generated_tokens: int
    is_cut: bool = False
    tree: Tree | None = None
    trajectories: int = 0


async def sample(
    question: Row,
    place: int,
    model: str,
    policy: ServedPolicy,
    checker: Checker,
    settings: Evaluation,
    value: ServedPolicy | None = None,
    sandbox: Sandbox | None = None,
    allowance: Allowance | None = None,
) -> Part:
    """One question's answers, checked: a row of `evaluation_samples` for each draw. `sandbox`: where a program is asked
    for. `allowance`: of adaptive decoding.

    An answer that can not be decided counts as not solved, as does a question that fills the context: others
    answer it. A question whose request failed for good is neither right nor wrong: it is no answer of the model's, and
    is left out of the accuracy.
    """

    prompt = policy.prompts.question(question["question"])
    prompt_digest = digest_of(policy.prompts.asked(prompt))

    async def one(draw: int) -> tuple[Row, list[Row]]:
        given, outcome, error = Answer("", None, 0), Outcome.FAILED, None
        metric = PASS if question["specification"] else "answer"
        asked = {name: question[name] for name in ("benchmark", "split", "question_id", "cluster")}
        asked |= {"model": model, "draw": draw}
        search = partial(searched, question, prompt, place, policy, checker, value)
        sampled: list[Row] = []
        started = time.monotonic()
        try:
            if settings.decoding == "greedy":
                given = await greedy(question, prompt, place, policy, settings)
            else:
                given = await search(settings, allowance)
            seconds = time.monotonic() - started
            if question["specification"]:
                assert sandbox is not None, "the stage has one where a program is asked for"
                given, outcome = await tested(given, question["specification"], sandbox)
            else:
                outcome = await outcome_of(given, question, checker)
            if settings.samples_trajectories:
                assert given.tree is not None, "only a search samples"
                sampled = [asked | row async for row in trajectories(given.tree, question, checker, given.trajectories)]
            if settings.narrower_beams:
                sampled = [asked | row for row in await narrower(given, question, checker, settings, search)]
        except PolicyError as problem:
            outcome, error, seconds = Outcome.FAILED, str(problem), time.monotonic() - started
        return asked | {
            "form": "plan",
            "metric": metric,
            "shots": policy.prompts.shots,
            "question": question["question"],
            "kinds": question["kinds"],
            "prompt_digest": prompt_digest,
            "output": given.output,
            "answer": given.answer,
            "outcome": outcome,
            "is_correct": None if error else outcome is Outcome.RIGHT,
            "generated_tokens": given.generated_tokens,
            "seconds": seconds,
            "error": error,
        }, sampled

    drawn = await together(one(draw) for draw in range(settings.draws))
    rows = [row for row, _ in drawn]
    tables = {"evaluation_samples": rows}
    if settings.samples_trajectories or settings.narrower_beams:
        kept = "evaluation_beams" if settings.narrower_beams else "evaluation_trajectories"
        tables[kept] = [row for _, sampled in drawn for row in sampled]
    return Part(tables, next((row["error"] for row in rows if row["error"]), None))


async def trajectories(tree: Tree, question: Row, checker: Checker, samples: int) -> AsyncIterator[Row]:
    """What each of the sampled trajectories votes for, and whether that is right; one that met a full context has none.

    Trajectories that begin alike share nodes, and those that are alike are one node with so many visits. One that met a
    full context ended at a step, which cost its tokens.
    """
    vote_of = {node.node_id: vote for vote, nodes in votes(tree).items() for node in nodes}
    verdicts = {vote: await verdict_on(vote, question, checker) for vote in dict.fromkeys(vote_of.values())}
    ends = [node for node in tree.nodes if node.is_terminal for _ in range(node.visits)]
    full = [node for node in tree.nodes if not node.is_terminal and node.is_closed]
    ends += [full[number % len(full)] for number in range(samples - len(ends))]
    for number, node in enumerate(ends):
        vote = vote_of.get(node.node_id)
        yield {
            "trajectory": number,
            "vote": vote,
            "is_correct": vote is not None and verdicts[vote] is Verdict.RIGHT,
            "value": node.value,
            "generated_tokens": sum(len(step.action.token_ids) for step in node.lineage() if step.parent is not None),
        }


async def narrower(
    given: Answer,
    question: Row,
    checker: Checker,
    settings: Evaluation,
    search: Callable[[Evaluation], Awaitable[Answer]],
) -> list[Row]:
    """What fewer beams answer to the question, each a search of its own, and last the answer that was given.

    The searches of one question run one after the other: other questions keep the engine busy. One that fails for good
    has no row; the answer that is scored does not depend on it.
    """
    rows = []
    for beams in settings.widths:
        told = given
        if beams < settings.beams:
            try:
                told = await search(settings.model_copy(update={"beams": beams}))
            except PolicyError:
                continue
        rows.append(
            {
                "beams": beams,
                "answer": told.answer,
                "is_correct": await outcome_of(told, question, checker) is Outcome.RIGHT,
                "generated_tokens": told.generated_tokens,
            }
        )
    return rows


async def outcome_of(given: Answer, question: Row, checker: Checker) -> Outcome:
    """What becomes of an answer, or of there being none."""
    if given.answer is None:
        return Outcome.TRUNCATED if given.is_cut else Outcome.UNPARSABLE
    verdict = await verdict_on(given.answer, question, checker)
    return {
        Verdict.RIGHT: Outcome.RIGHT,
        Verdict.WRONG: Outcome.WRONG,
        Verdict.UNDECIDED: Outcome.UNDECIDED,
    }[verdict]


async def tested(given: Answer, specification: Mapping[str, str], sandbox: Sandbox) -> tuple[Answer, Outcome]:
    """A program's verdict in the place of the answer, as the standard form has it, and what becomes of it. Where the
    tests are broken, how: nothing is decided."""
    if given.answer is None:
        return given, Outcome.TRUNCATED if given.is_cut else Outcome.UNPARSABLE
    try:
        verdict = (await run_tests(written(given.answer, specification), sandbox)).verdict
    except ValueError as problem:  # the tests are broken
        return replace(given, answer=str(problem)), Outcome.UNDECIDED
    is_right = verdict is ProgramVerdict.PASSED
    return replace(given, answer=str(verdict)), Outcome.RIGHT if is_right else Outcome.WRONG


async def greedy(
    question: Row, prompt: Sequence[int], place: int, policy: ServedPolicy, settings: Evaluation
) -> Answer:
    """Steps and solution in one greedy completion, which ends where it would invent the next question."""
    try:
        completed = await policy.write(
            prompt,
            stop=(SOLUTION_CLOSE, QUESTION_OPEN),
            max_tokens=settings.max_tokens,
            temperature=0.0,
            session=question["question_id"],
            priority=place,
        )
    except ContextFull:
        return Answer("", None, 0, is_cut=True)
    format = format_of(settings.steps, (question["specification"] or {"entry_point": ""})["entry_point"])
    end = format.parse_ending(completed.text, 0, settings.max_depth)
    is_cut = end.answer is None and (completed.is_cut or end.kind is Kind.TOO_DEEP)
    return Answer(completed.text, end.answer, len(completed.token_ids), is_cut)


async def searched(
    question: Row,
    prompt: Sequence[int],
    place: int,
    policy: ServedPolicy,
    checker: Checker,
    value: ServedPolicy | None,
    settings: Evaluation,
    allowance: Allowance | None = None,
) -> Answer:
    """The solution that a search without rewards settles on: by V, or by a vote (AlphaMath and SVPO at inference).

    reflection: the last of a search that is told what is right (LEPA's Algorithm 1, methods.md 4.1).
    """
    reflects = settings.decoding == "reflection"
    samples = allowance.first if allowance else settings.samples
    search = Search(
        steps=settings.steps,
        method="beam" if settings.decoding == "beam" else "reflect" if reflects else "sampling",
        beams=settings.beams,
        children=settings.samples,
        root_children=1 if reflects else samples,
        trials=settings.samples,
        temperature=settings.temperature,
        max_step_tokens=settings.max_tokens,
        max_depth=settings.max_depth,
    )
    task = Task(
        question_id=question["question_id"],
        question=question["question"],
        prompt_ids=tuple(prompt),
        judge=judge(checker, question) if reflects else unknown,
        simulations=1,
        priority=place,
        gold=question["answer"],
        leaks=partial(leaks_answer, question=question["question"], gold=question["answer"], checker=checker),
    )
    try:
        grown = await grow(task, SearchPolicy(policy, search, value), search)
        (tree,) = grown.trees
        if isinstance(grown.error, ContextFull):
            tree.root.is_closed = True
        elif grown.error is not None:
            raise grown.error
    except Exception:
        if allowance:
            allowance.come(disagree=True)
        raise
    disagree = not tree.root.is_closed and len(votes(tree)) != 1
    if allowance and (more := await allowance.more(disagree)):
        further = search.model_copy(update={"root_children": more})
        grown = await grow(task, SearchPolicy(policy, further, value), further, tree)
        if grown.error is not None:
            raise grown.error
        samples += more
    if reflects:
        ended = (Kind.SOLUTION, Kind.UNDECIDED)
        chosen = next((node for node in reversed(tree.nodes) if node.action.kind in ended), None)
    elif settings.decoding == "adaptive" or settings.decoding.startswith("majority"):
        chosen = majority_solution(tree, by_value=settings.decoding == "majority_by_value")
    else:
        chosen = best_solution(tree)
    if chosen is None:
        return Answer(
            "", None, tree.cost.generated_tokens, any(is_cut(node, settings) for node in tree.nodes), tree, samples
        )
    path = [node.action.text for node in chosen.lineage()][-2::-1]
    return Answer("".join(path), chosen.action.answer, tree.cost.generated_tokens, tree=tree, trajectories=samples)


def is_cut(node: Node, settings: Evaluation) -> bool:
    """Whether a path ended here at a limit: of tokens, of steps, or of the context."""
    kind = node.action.kind
    if kind is Kind.MALFORMED:
        return len(node.action.token_ids) >= settings.max_tokens
    return kind is Kind.TOO_DEEP or (kind in (*STEPS, Kind.ROOT) and node.is_closed and not node.children)


async def unknown(answer: str) -> bool:
    """At inference nobody says whether an answer is right."""
    return False
