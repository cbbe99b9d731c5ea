"""What a round came to, for the page of its flow run in the UI: notes first, a picture of the scores, the tables."""

from collections.abc import Sequence
from html import escape

from prefect.logging import get_run_logger

from infra.desk.published import round_summary
from infra.desk.summary import CURVES, Row, Section, asked_as, curve_grid, headline, sections
from infra.environment import environment
from infra.store import Store
from infra.store.rounds import Title
from tasks.running.curve import as_image
from tasks.running.progress import show_page, words

ROW, LEFT, RIGHT, WIDTH = 22, 300, 40, 860
COLOURS = ("#888888", "#1860f2", "#d97706", "#059669", "#b91c1c", "#7c3aed")


def show_result(title: Title) -> None:
    """Puts the report on the flow run's page, tab Artifacts. The round is published: nothing here fails it any more."""
    log = get_run_logger()
    try:
        summary = round_summary(Store.open(environment()), title.campaign, title.round)
        show_page("result", report(summary), headline(summary))
    except Exception as problem:
        log.warning("the result could not be shown here; `cpl show` shows it: %r", problem)


def report(summary: Row) -> str:
    """The summary of `cpl show` as Markdown."""
    asked = f"--campaign {summary['campaign']} --round {summary['round']}"
    notes = [f"> **Note:** {words(note)}\n" for note in summary["notes"]]
    picture = [as_image(scores_svg(summary["evaluations"]), "accuracy of each model")] if summary["evaluations"] else []
    tables = sorted(sections(summary), key=lambda section: section.title.startswith("What"))  # scores before counts
    models = [f"- {words(model['model'])}: `{words(model['uri'])}`" for model in summary["models"]]
    return "\n".join(
        [
            f"# {words(headline(summary))}\n",
            *notes,
            *picture,
            *(_table(section) for section in tables),
            "## Where it is\n",
            *models,
            "",
            f'Ask it: `cpl sql "select * from step_preferences limit 5" {asked}`. The same in a shell: '
            f"`cpl show {summary['round']} --campaign {summary['campaign']}`.",
        ]
    )


def scores(model: str, evaluations: Sequence[Row], curves: Sequence[Row]) -> str:
    """Rows of `evaluations` and of `evaluation_curves` of one model as Markdown: over all questions, and how many
    answers were none."""
    header = [
        "benchmark",
        "form",
        "metric",
        "shots",
        "n",
        "accuracy",
        "95 %",
        "cut off",
        "unreadable",
        "undecided",
        "lost",
        "tokens",
    ]
    rows = [
        [
            *(row["benchmark"], row["form"], row["metric"], str(row["shots"]), str(row["n"])),
            f"{row['accuracy']:.3f} ± {row['stderr']:.3f}",
            f"{row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}",
            *(str(row[name]) for name in ("truncated", "unparsable", "undecided", "lost")),
            f"{row['generated_tokens']:,.0f}",
        ]
        for row in evaluations
        if row["kind"] == "all"
    ]
    made = sorted({f"{row['benchmark']} {row['task_version']}" for row in evaluations if row["harness"]})
    by = sorted({f"lm-evaluation-harness {row['harness']}" for row in evaluations if row["harness"]})
    engines = sorted({f"engine {row['engine']}" for row in evaluations if row["engine"]})
    versions = ", ".join([*by, *engines, *(f"task {one}" for one in made)])
    tables = [Section(f"Scores of {model}", header, rows), Section(CURVES, *curve_grid(list(curves)))]
    return "\n".join([*(_table(section) for section in tables if section.rows), versions])


def scores_svg(evaluations: Sequence[Row]) -> str:
    """A line a model and benchmark: a dot at its accuracy and its 95 % interval, all on one scale from 0 to 1."""
    lines, y = [], ROW
    models = list(dict.fromkeys(row["model"] for row in evaluations))
    for benchmark in dict.fromkeys(map(asked_as, evaluations)):
        lines.append(f'<text x="4" y="{y + 4}" font-weight="bold">{escape(benchmark)}</text>')
        for row in (row for row in evaluations if asked_as(row) == benchmark):
            y += ROW
            colour = COLOURS[models.index(row["model"]) % len(COLOURS)]
            low, middle, high = (_across(row[name]) for name in ("accuracy_low", "accuracy", "accuracy_high"))
            lines += [
                f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(row["model"])}</text>',
                f'<line x1="{low}" x2="{high}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>',
                f'<circle cx="{middle}" cy="{y}" r="4" fill="{colour}"/>',
                f'<text x="{high + 8}" y="{y + 4}">{row["accuracy"]:.3f}</text>',
            ]
        y += ROW
    marks = [
        f'<line x1="{_across(share)}" x2="{_across(share)}" y1="4" y2="{y - ROW // 2}" stroke="#ddd"/>'
        f'<text x="{_across(share)}" y="{y + 4}" text-anchor="middle">{share:g}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 12}" width="{WIDTH}" height="{y + 12}">'
        '<rect width="100%" height="100%" fill="white"/>'
        f'<g font-family="sans-serif" font-size="12" fill="#333">{"".join([*marks, *lines])}</g></svg>'
    )


def _across(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _table(section: Section) -> str:
    rows = [section.header, ["---"] * len(section.header), *section.rows]
    lines = ["| " + " | ".join(words(cell) for cell in row) + " |" for row in rows]
    return "\n".join([f"## {section.title}\n", *lines, ""])
