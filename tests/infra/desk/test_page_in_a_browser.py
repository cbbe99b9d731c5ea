"""The page of a round in a browser that is offline: the explorer, what hostile text does there, and what is printed."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from infra.desk.page.document import document
from infra.warehouse import build
from tests.infra.desk.test_page import read
from tests.infra.stack.browser import Browser, browser
from tests.sql.handmade import NODES, ROUND, node, parquet, tree

pytestmark = pytest.mark.integration

RIGHT_TO_LEFT = "שלום \u202eevil\u202c"
HOSTILE = [
    "</script><script>steal()</script>",
    "<img src=x onerror=steal()>",
    "<svg onload=steal()></svg> javascript:steal() {{ steal() }}",
    "x" * 10_000,
    RIGHT_TO_LEFT,
    "nothing\x00 \x1b[31m and 🌳👩‍👩‍👧",
    r"\boxed{\frac{1}{2}} $\href{javascript:steal()}{x}$",
    "un\u200bseen\u2060 \U000e0041\x9b\ufffb, flag \U0001f3f3\ufe0f\u200d\U0001f308",
]
DEEP, WIDE = 120, 600


def chain(tree_id: str) -> list[dict[str, Any]]:
    return [node(tree_id, 0, None, 0, "root", "?")] + [
        node(tree_id, number, number - 1, number, "plan", f"Step {number}", q=0.1, visits=DEEP - number)
        for number in range(1, DEEP)
    ]


def fan(tree_id: str) -> list[dict[str, Any]]:
    texts = HOSTILE + [f"Step {number}" for number in range(len(HOSTILE), WIDE)]
    return [node(tree_id, 0, None, 0, "root", "?")] + [
        node(tree_id, number, 0, 1, "plan", text, q=-0.5, visits=1) for number, text in enumerate(texts, start=1)
    ]


def hostile_round() -> dict[str, list[dict[str, Any]]]:
    """The hand-made one, whose first question is hostile, with a deep and a wide tree of the second and the third."""
    questions = [ROUND["questions"][0] | {"question": "".join(HOSTILE), "answer": HOSTILE[1]}, *ROUND["questions"][1:]]
    grown = {"expansions": 9, "visits": 9, "value": 0.0}
    trees = [
        tree("deep", "q2", "budget", nodes=DEEP, **grown),
        tree("wide", "q3", "budget", nodes=WIDE + 1, **grown),
        tree("empty", "q3", "failed", nodes=0, **grown),
    ]
    nodes = [*NODES, *chain("deep"), *fan("wide")]
    nodes[-1] |= {"q": float("nan"), "prior": float("inf")}
    return ROUND | {"questions": questions, "trees": ROUND["trees"] + trees, "nodes": nodes}


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page, opened from the disk."""
    folder = tmp_path_factory.mktemp("page")
    build(folder / "factory.duckdb", parquet(folder, hostile_round()))
    path = folder / "page.html"
    path.write_text(document(read(folder / "factory.duckdb")))
    os.mkdir(folder / "browser")
    with browser(folder / "browser") as window:
        window.go_offline()
        window.open(path.as_uri())
        window.until("document.documentElement.dataset.explorer === 'ready'")
        yield window


def text(window: Browser, place: str) -> str:
    return str(window.run(f"document.getElementById({place!r}).textContent"))


def opened(window: Browser, question: str, tree: str) -> None:
    """Opens a tree by the address of the page."""
    window.run(f"location.hash = 'question={question}&tree={tree}'")
    window.until(f"location.hash.startsWith('#question={question}&tree={tree}&node=')")


def test_the_widest_gap_is_open_first_and_its_pair_stands_side_by_side(window: Browser) -> None:
    assert text(window, "question-id") == "q1"
    assert "Plan 1: Add them." in text(window, "path")
    assert window.run("[...document.querySelectorAll('.side mark')].map((mark) => mark.textContent)") == [
        "Add",
        "them.",
        "Subtract.",
    ]
    assert window.run("document.querySelectorAll('#map path.right').length") == 1
    window.run("document.querySelectorAll('.pair')[1].click()")
    assert "The final answer is \\boxed{6}." in text(window, "sides")
    assert "right" in text(window, "path")


def test_filters_and_the_outline_work_by_keyboard(window: Browser) -> None:
    window.run("document.getElementById('search').focus()")
    window.press(*"pears")
    window.until("document.getElementById('question-id').textContent === 'q2'")
    assert text(window, "found") == "1 of 3 questions"
    window.press(*["Backspace"] * 5)
    window.press("Tab", "Tab", "Tab", "ArrowDown", "ArrowDown", "ArrowDown")  # the order: by name
    assert window.run("document.getElementById('order').value") == "name"
    window.press("Tab", "Home")
    window.until("document.getElementById('question-id').textContent === 'q1'")
    window.press("ArrowDown", "ArrowDown")
    window.until("document.getElementById('question-id').textContent === 'q3'")
    opened(window, "q1", "t1")
    window.run("document.getElementById('outline').focus()")

    def current(name: str) -> Any:
        row = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        return window.run(f"{row}.getAttribute({name!r})")

    window.press("Home", "ArrowDown")
    assert (current("aria-level"), current("aria-posinset"), current("aria-setsize")) == ("2", "1", "3")
    assert current("aria-expanded") == "true"
    window.press("ArrowLeft")
    assert current("aria-expanded") == "false"
    window.press("ArrowRight", "ArrowRight")
    assert current("aria-label").startswith("right solution, chosen, 1. So it is.")
    window.press("ArrowLeft", "ArrowDown", "ArrowDown", "ArrowDown")
    assert "Subtract." in current("aria-label")
    assert "Subtract." in text(window, "path")


def test_deep_and_wide_trees_open(window: Browser) -> None:
    opened(window, "q2", "deep")
    assert f"{DEEP} nodes" in text(window, "tree-facts")
    window.run("document.getElementById('outline').focus()")
    window.press("End")
    assert window.run("document.querySelectorAll('#path > li').length") == DEEP - 1
    opened(window, "q3", "wide")
    window.press("End")
    drawn = window.run("document.querySelectorAll('#outline [role=treeitem]').length")
    assert 10 < drawn < 60, "those in sight alone"
    assert window.run("document.querySelector('#outline [aria-selected=true]').innerText").startswith(
        f"•\nStep {WIDE - 1}"
    )


def test_a_tree_without_nodes_opens_and_what_is_no_number_is_shown_as_none(window: Browser) -> None:
    opened(window, "q3", "empty")
    assert text(window, "tree-facts").startswith("0 nodes")
    assert text(window, "grown") == "the whole tree"
    for name in ("best", "fold", "unfold", "play", "whole"):
        window.run(f"document.getElementById({name!r}).click()")
    window.run("document.getElementById('outline').focus()")
    window.press("End", "ArrowLeft")
    assert window.run("document.querySelectorAll('#outline [role=treeitem], #path > li, #siblings tr').length") == 0
    window.run(f"location.hash = 'question=q3&tree=wide&node={WIDE}'")
    window.until(f"location.hash.endsWith('&node={WIDE}')")
    window.until(f"document.querySelector('#outline [aria-selected=true]')?.id === 'node-{WIDE}'")
    said = window.run("document.querySelector('#outline [aria-selected=true]').getAttribute('aria-label')")
    assert "Q –" in said
    assert "prior –" in said


def test_lines_that_are_tags_are_left_out_in_no_time(window: Browser) -> None:
    assert window.run("plain('a\\n <step> \\r\\n\\nb <plan>\\n</step>\\n')") == "a\n\nb <plan>"
    begun = "performance.now()"
    for sign in ("\\n", " ", "\\r"):
        took = window.run(
            f"(() => {{ const b = {begun}; plain('{sign}'.repeat(100000) + 'x'); return {begun} - b }})()"
        )
        assert took < 2000


def test_an_address_is_followed_though_the_page_writes_its_own_before_it_hears(window: Browser) -> None:
    opened(window, "q1", "t1")
    window.run("location.hash = 'question=q2&tree=deep'; document.querySelector('#trees button').click()")
    window.until("document.getElementById('question-id').textContent === 'q2'")


def test_text_of_others_is_shown_as_text_and_runs_nowhere(window: Browser) -> None:
    window.run("window.steal = () => { window.stolen = true }")
    for number, hostile in enumerate(HOSTILE, start=1):
        window.run(f"location.hash = 'question=q3&tree=wide&node={number}'")
        row = "document.querySelector('#outline [aria-selected=true]')"
        window.until(f"document.getElementById('question-id').textContent === 'q3' && {row}?.id === 'node-{number}'")
        shown = window.run("document.querySelector('#path .text').textContent")
        replaced = {"\x00": "␀", "\x1b": "␛"}
        replaced |= {sign: f"⟨U+{ord(sign):04X}⟩" for sign in "\u202e\u202c\u200b\u2060\U000e0041\x9b\ufffb"}
        assert shown == "".join(replaced.get(sign, sign) for sign in hostile)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert window.run(wide) == 0, "nothing makes the page wider than its window"
    opened(window, "q1", "t1")
    assert HOSTILE[0] in text(window, "question-text")
    assert window.run("document.querySelectorAll('img, main script, iframe, object').length") == 0
    assert window.run("window.stolen") is None


def test_it_prints_and_all_the_while_asks_for_nothing_and_complains_of_nothing(window: Browser) -> None:
    opened(window, "q2", "deep")
    paper = window.printed()
    assert paper.startswith(b"%PDF")
    assert paper.count(b"/Type /Page\n") > 2
    asked = [event["request"]["url"] for event in window.said("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert len([url for url in asked if url.startswith("file://")]) == 1
    assert window.said("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
