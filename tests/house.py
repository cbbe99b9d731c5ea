"""The house as its files show it: rooms and their arrows from the imports, every file with its own first sentence, and
the tables of `sql` with their comments.

python -m tests.house      # `make house`: writes them into CONTRIBUTING.md, docs/files.md and docs/tables.md
"""

import ast
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grimp

from infra.warehouse import GRAINS, ask, build, first_comment, relations, statements

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "tasks", "trainers", "infra")
FOLDERS = {
    "flows": "which stage follows which",
    "flows/recipes": "a method's numbers, and where they stand in its paper",
    "flows/studies": "methods side by side, and what papers claim of them",
    "infra": "what is outside of this process",
    "infra/accelerate": "how a training is spread over GPUs",
    "infra/desk/page/script": "what runs in the page, which holds it as one script",
    "infra/engine/inside": "what runs inside vLLM's server",
    "infra/topologies/kubernetes": "the parts of a cluster",
    "infra/topologies": "containers and a cluster: the image, and which part runs where",
    "infra/locks": "both environments, compiled by `make locks`",
    "sql": "the warehouse, one statement a file, in the order of their numbers, which may have gaps",
    "sql/campaign": "the curves of a campaign's page (`cpl page --campaign NAME`)",
    "sql/checks": "rules that hold in every round: a query that must find no row",
    "sql/ducklake": "the catalogue that `cpl export round` writes",
    "sql/loads": "how a table is filled whose columns are partly made here, of others",
    "sql/derived": "tables that are made of the others, a round at a time, for they take long to ask",
    "sql/queries": "questions that people ask; `cpl sql --list` names them",
    "sql/exports": "what `cpl export` takes out, a data set each",
    "sql/page": "the figures and trees of a round's page (`cpl page`)",
    "sql/reports": "what `cpl show` and the round's page in the UI print",
    "sql/stages": "what a stage computes in DuckDB, over frames of its own",
    "sql/tables": "one row is what? Every column with its comment",
    "sql/views": "what is asked often, and texts put together",
    "tasks/harness/own": "tasks that the harness has not, or runs unsafely",
    "tasks/micro/base": "the small base model, as a model folder",
    "tasks": "stages, what runs them, and thinking by subject",
}
"""Of folders without a docstring."""
LONGEST, WIDEST = 88, 120
DOCUMENTED = (".css", ".html", ".js", ".py", ".sql", ".toml", ".yaml")
Arrows = dict[str, set[str]]


def room_of(module: str) -> str:
    """The package or single module right below `tasks` and `infra`; `flows` and `trainers` are one room each."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] in ("tasks", "infra") else names[0]


def arrows() -> Arrows:
    """Room -> the rooms that its modules import; imports for types alone are none."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    found: Arrows = {room_of(module): set() for module in graph.modules - {"tasks", "infra"}}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            if room_of(module) != room_of(other):
                found[room_of(module)].add(room_of(other))
    return found


def reachable(room: str, of: Arrows) -> set[str]:
    below = set(of[room])
    return below.union(*(reachable(other, of) for other in below))


def shortest(of: Arrows) -> Arrows:
    """Without the arrows that others imply: of a -> b -> c and a -> c the last."""
    return {room: below - set().union(*(reachable(other, of) for other in below)) for room, below in of.items()}


def drawing() -> str:
    """The rooms as a Mermaid graph."""
    drawn = shortest(arrows())
    lines = ["```mermaid", "flowchart TD"]
    for package in ("tasks", "infra"):
        rooms = sorted(room for room in drawn if room.startswith(f"{package}."))
        lines += [f"  subgraph {package}", *(f"    {room}[{room.partition('.')[2]}]" for room in rooms), "  end"]
    lines += [f"  {room} --> {below}" for room in sorted(drawn) for below in sorted(drawn[room])]
    return "\n".join([*lines, "```"])


def tree() -> str:
    """Every file of the product and what it says of itself."""
    lines = [line for name in ("flows", "tasks", "trainers", "sql", "infra") for line in _branch(ROOT / name)]
    return "\n".join(["```", *lines, "```"])


def _branch(folder: Path, depth: int = 0) -> Iterator[str]:
    yield _line(f"{'  ' * depth}{folder.name}/", said_of(folder))
    for entry in sorted(folder.iterdir(), key=lambda entry: (entry.is_dir(), entry.name)):
        if entry.is_dir() and not entry.name.startswith((".", "__")):
            yield from _branch(entry, depth + 1)
        elif entry.suffix in DOCUMENTED and entry.name != "__init__.py":
            yield _line(f"{'  ' * (depth + 1)}{entry.name}", said_of(entry))


def _line(name: str, said: str) -> str:
    return f"{name:<29} {said}".rstrip()


def said_of(path: Path) -> str:
    """The first sentence of a file or folder; empty where it has none. Without what stands in brackets.

    One above `LONGEST` ends at its last colon or semicolon before, one above `WIDEST` at least at its last comma.
    """
    if path.is_dir():
        start = path / "__init__.py"
        return (said_of(start) if start.is_file() else "") or FOLDERS.get(path.relative_to(ROOT).as_posix(), "")
    text = path.read_text()
    if path.suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    elif commented := re.search(r"(?m)^comment on (?:table|view) \w+ is '((?:[^']|'')*)'", text):
        said = commented[1].replace("''", "'")
    else:
        lines = re.match(r"((?:--|#|//|/\*|\{#)[^\n]*\n)+", text)
        said = re.sub(r"(?m)^(?:--|#|//|/\*|\{#) ?| ?(?:\*/|#\})$", "", lines[0]) if lines else ""
    paragraph = " ".join(said.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.?!]) (?=[A-Z])", re.sub(r" \([^()]*\)", "", paragraph))[0].rstrip(".")
    if len(sentence) > LONGEST and (short := re.match(rf"(.{{30,{LONGEST}}})[;:] ", sentence)):
        return short[1]
    if len(sentence) > WIDEST and (short := re.match(rf"(.{{30,{WIDEST}}}), ", sentence)):
        return short[1]
    return sentence


MACROS = (
    "select function_name, comment from duckdb_functions() where function_type = 'table_macro' and not internal "
    "order by function_name"
)
BAR = r"\|"
COLUMNS = "select table_name, column_name, lower(data_type), comment from duckdb_columns() where not internal"


def dictionary() -> str:
    """Every relation of the warehouse with its columns, and the worked queries, from the comments in `sql`."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.duckdb"
        build(empty, {})
        grains, macros, columns = (
            dict(ask(empty, GRAINS).rows),
            dict(ask(empty, MACROS).rows),
            ask(empty, COLUMNS).rows,
        )
    lines = []
    for title, names in (
        ("Tables of a round", relations("tables")),
        ("Tables that are made of those", relations("derived")),
        ("Views", relations("views")),
    ):
        lines += [f"## {title}", ""]
        for name in names:
            lines += [f"### {name}", "", grains[name], "", "| column | type | |", "| --- | --- | --- |"]
            lines += [
                f"| `{column}` | {kind} | {said.replace('|', BAR)} |"
                for of, column, kind, said in columns
                if of == name
            ]
            lines += [""]
    lines += ["## Macros", "", *(f"- `{name}`: {said}" for name, said in macros.items()), ""]
    lines += ["## Worked queries", ""]
    lines += [f"- `{query.relative_to(ROOT).as_posix()}`: {first_comment(query)}" for query in statements("queries")]
    return "\n".join(lines)


def with_block(document: str, name: str, block: str) -> str:
    """The document with `block` between its marks `<!-- name -->` and `<!-- end of name -->`."""
    start, end = f"<!-- {name}: made by `make house` -->\n", f"<!-- end of {name} -->"
    before, mark, rest = document.partition(start)
    _, last, after = rest.partition(end)
    if not mark or not last:
        raise ValueError(f"there is no place for {name!r}: {start.strip()} … {end.strip()}")
    return f"{before}{mark}{block}\n{last}{after}"


BLOCKS = (
    ("CONTRIBUTING.md", "rooms", drawing),
    ("docs/files.md", "files", tree),
    ("docs/tables.md", "dictionary", dictionary),
)


def main() -> None:
    for name, block, made in BLOCKS:
        path = ROOT / name
        path.write_text(with_block(path.read_text(), block, made()))


if __name__ == "__main__":
    main()
