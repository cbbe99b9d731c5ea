"""The flow `cpl`: one round of any recipe, from questions to publication (docs/methods.md 1).

A round gathers evidence, draws lessons from it and teaches them to models; these are scored, and what the next round
searches with is published. Which evidence, lessons and models: the recipe says (tasks.recipe).
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Annotated, Any, NamedTuple

from prefect import flow
from pydantic import Field

from flows.parameters import BY_MODEL, AnyRecipe, chosen, usual_recipe
from infra.contract.training import Loss, Training
from infra.engine import refuse_engines_without_gpus, refuse_without_value_engine
from infra.environment import environment
from infra.store import Ref, Store
from infra.store.rounds import Title
from tasks.questions import content_of, source_of
from tasks.recipe import Recipe
from tasks.running.gate import ToLearn, wait_for_approval
from tasks.running.memory import Machine, refuse_too_large
from tasks.running.opening import RoundBefore, open_round, round_before
from tasks.running.record import RoundRun, recorded
from tasks.running.report import show_result
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.running.trainer import at_once, side_by_side
from tasks.stages.contamination import find_contamination, refuse_contaminated
from tasks.stages.curation import refuse_selects
from tasks.stages.evaluate import evaluate
from tasks.stages.harness import answer_benchmarks, contents_of, list_standard_questions
from tasks.stages.learn import learn
from tasks.stages.learn_apart import learn_apart
from tasks.stages.lengths import compare_lengths
from tasks.stages.lessons import choose
from tasks.stages.model import BaseModelSource, locate, prepare_model
from tasks.stages.publish import point_to, publish
from tasks.stages.questions import load_benchmarks, refuse_overlaps, sample_questions
from tasks.stages.rank_values import rank_values
from tasks.stages.search import search
from tasks.stages.search_in_shards import search_in_shards
from tasks.stages.second_opinions import ask_second_opinions
from tasks.stages.warehouse import build_warehouse


@flow(name="cpl", persist_result=False)
def cpl(
    campaign: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = "",
    round: Annotated[int, Field(ge=0, le=9999)] = 0,
    model: str = "micro",
    repeat: Annotated[int, Field(ge=0)] = 0,
    shards: Annotated[int, Field(ge=1, le=100)] = 1,
    train_apart: bool = False,
    approve: bool = False,
    recipe: AnyRecipe = BY_MODEL,
) -> Ref:
    """One round: search over steps, learn from them, score what was learnt, publish it.

    Every stage is cached by what it depends on. Retry a failed run and it goes on where it stopped; run it again
    unchanged and it ends in seconds; change a setting and only what depends on it is done again.

    Args:
        campaign: Rounds of one campaign build on each other and share their base model. Lower-case letters, digits and
            hyphens. Blank: named after the model.
        round: Round 1 starts from the base model, a later one from what the round before published. 0: the campaign's
            first round that is not published, so that a schedule moves the campaign on.
        model: The base model: micro, smollm2, the path of a model folder, or a hub id (deepseek-ai/…).
        repeat: Another number draws the round again: the same questions, other samples. At least 0.
        shards: Machines that search at once, each on its engines: runs of cpl-search/shard on its pool. From 1 to 100.
        train_apart: Trainings are runs of cpl-train/training on its pool, as many at once as have their start.
        approve: After the search the round is suspended and shows what would be learnt; Resume lets it train.
        recipe: A method with its numbers. By name: as in flows/recipes/, and by model: the model's own. A button shows
            all fields of a model's own recipe with its values, to be changed; one that is blank keeps the recipe's
            value. Those of others are changed from a shell or in a file.
    """
    tell_errors_in_a_sentence()
    title, method, source = asked_for(campaign, round, model, recipe, repeat)
    with recorded(title) as run:
        start = prepare(title, method, source, run, train_apart)
        trees = gather(method, run, start, shards)
        lessons = draw(method, run, start, trees)
        refuse_contamination("lessons", lessons, start.asked, start.base, method, run)
        if approve:
            wait_for_approval(Store.open(environment()), run, trees, lessons, to_learn(method, lessons))
        models = teach(method, run, lessons, start.base, start.policy, start.value, train_apart)

        value = models.next_value if method.evaluation.by_value else None
        policies = {name: models.made[name] for name in scored(method, models, run.notes)}
        answers = {
            name: run.keep(f"evaluate_{name}", evaluate(policy, name, start.benchmarks, method.evaluation, value))
            for name, policy in policies.items()
        }
        for name, policy in policies.items() if start.standard else ():
            asked = (start.standard, method.questions.sources, method.harness)
            answers[f"harness_{name}"] = run.keep(f"harness_{name}", answer_benchmarks(policy, name, *asked))
        held_out = {name: trees[name] for name, how in method.evidence.items() if how.held_out}
        for name in filter(method.ranks, models.made if held_out else ()):
            run.keep(f"rank_values_{name}", rank_values(models.made[name], name, held_out, method.evaluation.steps))
        if method.second_opinion:
            opinions = ask_second_opinions(start.questions, trees, start.asked, answers)
            run.keep("second_opinions", opinions)

        before = start.previous.manifest if start.previous else None
        run.keep("warehouse", build_warehouse(title, method, dict(run.stages), models.next_policy))
        published = publish(title, dict(run.stages), models.next_policy, before, run.notes, models.next_value)
        point_to(title, published)
    show_result(title)
    return published


class Asked(NamedTuple):
    """What a run was asked for. `source`: of the base model."""

    title: Title
    method: Recipe
    source: BaseModelSource


def asked_for(campaign: str, round: int, model: str, recipe: str | dict[str, Any], repeat: int = 0) -> Asked:
    """Which round it is, and its recipe there; refused where they do not fit the campaign."""
    source = locate(model)
    wanted = chosen(recipe, model)
    first = wanted.read(round=1)
    title = open_round(
        Store.open(environment()),
        campaign,
        round,
        recipe=wanted.name,
        model=model,
        base=source.digest,
        source=" + ".join(first.questions.sources),
        usual=wanted.name == usual_recipe(model) and first.questions.sources == wanted.plain().questions.sources,
    )
    return Asked(title, wanted.read(round=title.round).repeated(repeat), source)


class Start(NamedTuple):
    """What a round starts from. `standard`: by benchmark of the harness the digest of its rows. `asked`: all that its
    benchmarks ask, by form. `value`: the separate value model that the round's searches ask."""

    questions: Ref
    benchmarks: Ref
    standard: dict[str, str]
    asked: dict[str, Ref]
    base: Ref
    policy: Ref
    value: Ref | None
    previous: RoundBefore | None


def prepare(title: Title, method: Recipe, source: BaseModelSource, run: RoundRun, train_apart: bool = False) -> Start:
    """Questions, benchmarks and the model, and all that can be refused before anything is spent."""
    refuse_selects(method.lessons)
    previous = round_before(title)
    value = previous.value if previous else None
    refuse_engines_without_gpus(environment())
    if method.is_guided and (value or method.next.value):
        refuse_without_value_engine(environment())
    sources = method.questions.sources
    contents = {name: content_of(*source_of(name)) for name in method.evaluation.benchmarks}
    standard = contents_of(method.harness)
    benchmarks = run.keep("benchmarks", load_benchmarks(sources, contents, method.evaluation))
    asked = {"plan": benchmarks}
    if standard:
        asked["standard"] = run.keep("standard_questions", list_standard_questions(standard))
    questions = run.keep(
        "questions", sample_questions(title.round, {one: content_of(one) for one in sources}, method.questions)
    )
    refuse_overlaps(questions, asked)
    base = run.keep("base", prepare_model(*source.in_style(method.prompt.style)))
    refuse_contamination("questions", {"questions": questions}, asked, base, method, run)
    if not train_apart:
        run.notes += refuse_too_large(base, {name: arm.training for name, arm in method.arms.items()}, Machine.here())
    policy = previous.policy if previous else base
    run.notes += compare_lengths(
        *(questions, policy, method.evaluation.steps, method.prompt.learnt_in == "chat"),
        {name: search.max_step_tokens for name, search in method.evidence.items()},
        {name: arm.max_length for name, arm in method.arms.items()},
    ).notes
    return Start(questions, benchmarks, standard, asked, base, policy, value, previous)


def refuse_contamination(
    name: str, learnt: dict[str, Ref], asked: dict[str, Ref], base: Ref, method: Recipe, run: RoundRun
) -> None:
    """What of the benchmarks stands in what is learnt is found, and the round is refused where it is too much."""
    found = run.keep(f"contamination_{name}", find_contamination(name, learnt, asked, base))
    refuse_contaminated(found, method.overlap)


def gather(method: Recipe, run: RoundRun, start: Start, shards: int = 1) -> dict[str, Ref]:
    """The evidence, by name: searches of the questions by the policy."""
    trees: dict[str, Ref] = {}
    for name, how in method.evidence.items():
        library = start.previous.library(name) if start.previous and how.library else None
        rates = trees[how.budget_by] if how.budget_by else None
        asked = (start.questions, start.policy, name, how, rates, library, start.value if how.by_value else None)
        trees[name] = run.keep(name, search(*asked) if shards == 1 else search_in_shards(*asked, shards))
    return trees


def draw(method: Recipe, run: RoundRun, start: Start, trees: dict[str, Ref]) -> dict[str, Ref]:
    """The lessons, by name, that their rules choose from the evidence."""
    return {
        name: run.keep(
            name,
            choose(
                *(name, {one: trees[one] for one in rule.evidence}, start.policy, rule),
                *(method.tokens, trees if method.tokens else None),
            ),
        )
        for name, rule in method.lessons.items()
    }


class Models(NamedTuple):
    """`made`: base and the arms that were trained, in order. The others: what the next round searches with."""

    made: dict[str, Ref]
    next_policy: Ref
    next_value: Ref | None


def teach(
    method: Recipe,
    run: RoundRun,
    lessons: Mapping[str, Ref],
    base: Ref,
    policy: Ref,
    value: Ref | None = None,
    train_apart: bool = False,
) -> Models:
    """Every arm learns its lesson, beside others where the machine has room and when the model that it starts from is
    there; one whose lesson holds nothing for its loss is left out, with a note.

    `policy`, `value`: what this round searched with. The next one does, too, where nothing else was learnt.
    """
    made = {"base": base}
    trainings: dict[str, Future[Ref]] = {}

    def train(name: str) -> Ref:
        arm = method.arms[name]
        start = trainings[arm.start].result() if arm.start in trainings else made.get(arm.start, policy)
        chat = method.evaluation.steps if method.prompt.learnt_in == "chat" else None
        given = (start, lessons[arm.lesson], name, matched(method, name, lessons), chat)
        return learn_apart(*given) if train_apart else learn(*given)

    with side_by_side(max(1, len(method.arms)) if train_apart else at_once(base)) as begin:
        for name in method.arms:
            if empty := empty_lesson(method, name, lessons):
                run.notes.append(f"{name} was not trained: {empty} holds nothing to learn from.")
                continue
            trainings[name] = begin(train, name)
        for name, training in trainings.items():
            made[name] = run.keep(name, training.result())

    def first(names: Iterable[str]) -> Ref | None:
        return next((made[name] for name in names if name in made), None)

    next_policy = first(method.next.policy)
    if method.next.policy and next_policy is None:
        run.notes.append("Nothing was learnt that the next round could search with: the policy stays what it was.")
    return Models(made, next_policy or policy, first(method.next.value) or (value if method.next.value else None))


def matched(method: Recipe, name: str, lessons: Mapping[str, Ref]) -> Training:
    """What an arm's trainer is told: a control learns for as many sequences as the arm that it is like."""
    arm = method.arms[name]
    if arm.like is None:
        return arm.training
    other = method.arms[arm.like]
    epochs = other.epochs * sequences(lessons[other.lesson], other.loss) / sequences(lessons[arm.lesson], arm.loss)
    return arm.training.model_copy(update={"epochs": epochs})


def to_learn(method: Recipe, lessons: Mapping[str, Ref]) -> dict[str, ToLearn]:
    """The arms as they would learn."""
    return {
        name: ToLearn(sequences(lessons[arm.lesson], arm.loss), matched(method, name, lessons))
        for name, arm in method.arms.items()
        if not empty_lesson(method, name, lessons)
    }


def empty_lesson(method: Recipe, name: str, lessons: Mapping[str, Ref]) -> str | None:
    """The lesson that leaves an arm, or the one that it is like, nothing to learn."""
    arm = method.arms[name]
    needed = [arm] if arm.like is None else [arm, method.arms[arm.like]]
    return next((one.lesson for one in needed if not sequences(lessons[one.lesson], one.loss)), None)


def sequences(lesson: Ref, loss: Loss) -> int:
    """Of one pass of a loss over a lesson; a preference is two. Of imitations, every row has a target of V."""
    if loss.learns_from == "preferences":
        return 2 * lesson.rows
    return lesson.counts["imitated"] if loss.nll else lesson.rows


def scored(method: Recipe, models: Models, notes: list[str]) -> Iterable[str]:
    """The models to score: policies, but for those whose training changed no weight."""
    for name, model in models.made.items():
        if name in method.arms and not method.arms[name].loss.makes_policy:
            continue
        if model.counts.get("unchanged"):
            start = method.arms[name].start
            same = start if start in models.made else "the policy that searched"
            notes.append(f"{name}: training changed no weight. It is the same as {same}, and is not scored again.")
            continue
        yield name
