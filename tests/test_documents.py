"""The documents say what is there: citations find their heading, commands their options, queries their tables."""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
import typer

from flows.parameters import BY_MODEL, NAMES, chosen
from infra.desk import run
from infra.desk.cli import app
from tasks.check import is_equal
from tasks.recipe import Recipe
from tests import house
from tests.house import ROOT
from tests.sql.conftest import warehouse

__all__ = ["warehouse"]

TELLING = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(ROOT.glob("docs/*.md"))]
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in TELLING}
"""Of how things are now. What the changelog names may be gone."""
CPL = cast(Any, typer.main.get_command(app))
PLACES = ("docs", "flows", "tasks", "trainers", "sql", "infra", "tests")
SUFFIXES = (".py", ".sql", ".toml", ".md", ".yaml")
WRITTEN = [path for path in ROOT.glob("*.*") if path.suffix in SUFFIXES] + [ROOT / "Makefile"]
WRITTEN += [path for name in PLACES for path in (ROOT / name).rglob("*") if path.suffix in SUFFIXES]

SECTION = r"\d+(?:\.\d+)?"
METHODS = re.compile(rf"\bmethods(?:\.md)?,? (?:sections? )?({SECTION}(?:(?:,| to| and)\s{SECTION})*)")
DESIGN = re.compile(r"\bdesign(?:\.md)?`?,? ((?:D\d+b?|(?:section )?\d\b)(?:, (?:D\d+b?|section \d))*)")
ALONE = re.compile(r"\((D\d+b?(?:, D\d+b?)*)[,;)]")
PLACEHOLDER = re.compile(r"\[(?:[A-Z]|--)|[…|<]")
DOCUMENT = re.compile(r"(?<![\w./<*-])((?:[\w-]+/)*[\w-]+\.md)\b")


def headings(name: str) -> set[str]:
    """The first word of each heading of a document: 1.3, D5, 4."""
    return set(re.findall(r"(?m)^#+ (\S+)", (ROOT / "docs" / name).read_text()))


def citations(text: str) -> Iterator[tuple[str, str]]:
    """(document, section) of each citation in a text, whatever its line breaks."""
    text = re.sub(r"\s*\n\s*(?:#|--)?\s*", " ", text)
    for found in METHODS.finditer(text):
        yield from (("methods.md", section) for section in re.findall(SECTION, found[1]))
    for pattern in (DESIGN, ALONE):
        for found in pattern.finditer(text):
            yield from (("design.md", section) for section in re.findall(r"D\d+b?|\d+", found[1]))


def test_citations_are_read_in_all_of_their_forms() -> None:
    text = """(design D1, D2, section 4; methods.md 1.4 to 1.6, 2.3), docs/methods.md 5.1 and design
    # section 4, design 4, (D1b, D2), `docs/design.md` D9"""
    assert sorted(citations(text)) == [
        *[("design.md", section) for section in ("4", "4", "4", "D1", "D1b", "D2", "D2", "D9")],
        *[("methods.md", section) for section in ("1.4", "1.6", "2.3", "5.1")],
    ]


def test_every_citation_finds_its_section() -> None:
    known = {name: headings(name) for name in ("methods.md", "design.md")}
    cited = [
        (path.relative_to(ROOT).as_posix(), document, section)
        for path in WRITTEN
        if path != Path(__file__)
        for document, section in citations(path.read_text())
    ]
    assert len(cited) > 50
    assert [one for one in cited if one[2] not in known[one[1]]] == []


def test_every_document_that_is_named_is_there() -> None:
    there = {path.relative_to(ROOT).as_posix() for path in WRITTEN if path.suffix == ".md"}
    names = there | {name.rpartition("/")[2] for name in there}
    missing = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in WRITTEN
        if not path.is_relative_to(ROOT / "tests")
        for name in DOCUMENT.findall(path.read_text())
        if name not in names and (path.parent / name).relative_to(ROOT).as_posix() not in there
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("name", "block", "made"), house.BLOCKS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_drawn_of_the_house_is_current(name: str, block: str, made: Callable[[], str]) -> None:
    document = (ROOT / name).read_text()
    assert house.with_block(document, block, made()) == document, f"{name} is stale: `make house` writes it anew"


def test_every_file_says_what_it_is_for() -> None:
    silent = [line for line in house.tree().splitlines()[1:-1] if len(line.split()) < 3]
    assert silent == []


def test_the_answer_checks_examples_hold() -> None:
    page = (ROOT / "tasks/check/README.md").read_text()
    examples = re.findall(r"(?m)^(?!Below)(.+?)   (!?~)   (.+)$", page)
    assert len(examples) > 50
    assert [one for one in examples if is_equal(one[0], one[2]) != (one[1] == "~")] == []


def blocks(document: str) -> str:
    """The lines of its code blocks."""
    fenced = re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```$", document)
    return "\n".join(block for language, block in fenced if language != "mermaid")


def commands(name: str, document: str) -> list[list[str]]:
    """Arguments of each call of a command in code blocks, and of calls without placeholders in running text."""
    inline = re.findall(rf"`({name} [^`]+)`", document.replace("\n", " "))
    shown = re.findall(rf"(?m)^ *(?:\$ )?({name} .*)$", blocks(document))
    whole = [shlex.split(call, comments=True)[1:] for call in (*shown, *inline) if not PLACEHOLDER.search(call)]
    return [call[: call.index(">")] if ">" in call else call for call in whole]


def all_commands(name: str) -> list[list[str]]:
    """Of all documents that tell how things are done."""
    return [call for document in DOCUMENTS.values() for call in commands(name, document)]


def told(pattern: str) -> list[Any]:
    """What it finds in the documents, whatever their line breaks."""
    return [found for document in DOCUMENTS.values() for found in re.findall(pattern, document.replace("\n", " "))]


def fenced(language: str) -> list[str]:
    """The code blocks of a language in all documents."""
    return [block for document in DOCUMENTS.values() for block in re.findall(rf"(?s)```{language}\n(.*?)```", document)]


def slugs(document: str) -> set[str]:
    """What GitHub calls its headings in addresses."""
    titles = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^ *```.*?^ *```$", "", document))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links(name: str) -> list[tuple[str, str]]:
    """(path from the root, heading) of each link of a document to a file here."""
    found = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", DOCUMENTS[name])
    here = (ROOT / name).parent
    return [((here / path).resolve().relative_to(ROOT).as_posix() if path else name, slug) for path, slug in found]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_a_file_and_its_heading(name: str) -> None:
    assert [path for path, _ in links(name) if not (ROOT / path).exists()] == []
    assert [(path, slug) for path, slug in links(name) if slug and slug not in slugs((ROOT / path).read_text())] == []


def test_readme_leads_to_every_document() -> None:
    assert set(DOCUMENTS) - {path for path, _ in links("README.md")} == {"README.md"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_that_are_named_are_there(name: str) -> None:
    named = re.findall(rf"`((?:{'|'.join(PLACES)})/[\w./-]+)`", DOCUMENTS[name])
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_make_has_the_targets_and_variables_that_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?m)^([a-z0-9-]+):", makefile))
    variables = set(re.findall(r"\$\((?:if \$\(|call option,|)([A-Z]+)\b", makefile))
    calls = all_commands("make")
    given = {word for call in calls for word in call}
    recipes = {word.removeprefix("RECIPE=") for word in given if word.startswith("RECIPE=")}
    assert len(calls) > 30
    assert {word for word in given if "=" not in word} - targets == set()
    assert {word.partition("=")[0] for word in given if "=" in word} - variables == set()
    assert recipes - {"mine"} <= set(NAMES)


def test_every_defence_names_a_test_that_is_there() -> None:
    tables = re.findall(r"(?m)(?:^\|.*\n)+", (ROOT / "SECURITY.md").read_text())
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert len(rows) > 5
    for row in rows:
        named = re.findall(r"`(tests/[\w/.]+)`", row.split("|")[-2])
        assert named, row
        assert [path for path in named if not (ROOT / path).exists()] == []


def parsed(command: Any, words: list[str]) -> Any:
    """What a call of `cpl` means. Raises UsageError. A command without arguments is only named."""
    name, *arguments = words
    assert name in command.commands, f"there is no command {name!r}"
    inner = command.commands[name]
    if arguments and hasattr(inner, "commands"):
        return parsed(inner, arguments)
    return inner.make_context(name, arguments, resilient_parsing=not arguments)


def test_the_command_takes_what_documents_give_it() -> None:
    calls = [call for call in all_commands("cpl") if call != ["--help"]]
    assert len(calls) > 50
    for call in calls:
        parsed(CPL, call)


def test_the_recipes_have_the_fields_that_documents_set() -> None:
    rounds = [parsed(CPL, call).params for call in all_commands("cpl") if call[0] == "round"]
    assert any(given["changes"] for given in rounds)
    for given in rounds:
        recipe = run._recipe(given["recipe"], given["questions"], given["count"], given["changes"])["recipe"]
        chosen(recipe, given["model"] or "micro").read()  # raises RecipeRefused


def test_parts_of_recipes_that_are_shown_can_be_read() -> None:
    shown = [tomllib.loads(part) for part in fenced("toml")]
    assert [list(Recipe.model_validate(part).arms) for part in shown if "arms" in part] == [["alphamath"]]
    changes = [part for part in shown if "arms" not in part]
    assert changes
    for change in changes:
        chosen({BY_MODEL: change}, "micro").read()


def test_the_command_has_the_options_that_documents_name() -> None:
    named = told(r"`cpl ([a-z]+)([^`]*)`")
    unknown = {
        (name, option)
        for name, rest in named
        for option in re.findall(r"(?<!\S)\[?(--[a-z-]+)", rest.partition('"')[0] + rest.rpartition('"')[2])
        if option not in {one for parameter in CPL.commands[name].params for one in parameter.opts}
    }
    assert len(named) > 30
    assert unknown == set()


def test_queries_of_documents_run(warehouse: Path) -> None:
    asked, shown = told(r'cpl sql "([^"…]+)"'), fenced("sql")
    assert min(len(asked), len(shown)) > 0
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for query in asked + shown:
            connection.execute(query)


def test_deployments_of_documents_and_their_parameters_exist() -> None:
    from flows.campaign import cpl_campaign
    from flows.round import cpl
    from flows.study import cpl_study

    flows: dict[str, Any] = {
        "cpl/round": cpl,
        "cpl-campaign/campaign": cpl_campaign,
        "cpl-study/study": cpl_study,
    }
    shown = "\n".join(map(blocks, DOCUMENTS.values()))
    calls = re.findall(r"(?m)^prefect deployment run (\S+)(.*?)(?:  #.*)?$", shown)
    assert calls
    for deployment, rest in calls:
        parameters = set(flows[deployment].parameters.properties)
        assert set(re.findall(r"-p (\w+)=", rest)) <= parameters, (deployment, rest)
