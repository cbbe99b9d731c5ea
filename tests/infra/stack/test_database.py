"""Which database the Prefect server has: the same from every shell, changed on purpose alone, nobody else's to know."""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.stack.database import OWN_FILE, PREFIXES, kept, place, said, settle
from infra.stack.deploying import _digest
from infra.stack.local import SERVER, Stack, StackError

PASSWORD = "of-the-database"
PARTS = {
    "DRIVER": "postgresql+asyncpg",
    "HOST": "db.example",
    "USER": "cpl",
    "NAME": "runs",
    "PASSWORD": PASSWORD,
}
URL = {"CONNECTION_URL": f"postgresql+asyncpg://cpl:{PASSWORD}@db.example:5432/runs"}
PLACE = "postgresql+asyncpg://db.example:5432/runs"
ELSEWHERE = {"CONNECTION_URL": f"postgresql+asyncpg://cpl:{PASSWORD}@other.example/runs"}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """One that was never started; of databases nothing is said."""
    for prefix in PREFIXES:
        for name in (*PARTS, *URL, "PORT"):
            monkeypatch.delenv(prefix + name, raising=False)
    (tmp_path / "prefect.yaml").touch()
    (tmp_path / ".cpl").mkdir()
    return Stack(tmp_path / ".cpl", tmp_path)


def named(variables: Mapping[str, str], prefix: str = PREFIXES[0]) -> dict[str, str]:
    return {prefix + name: text for name, text in variables.items()}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("variables", [PARTS, URL], ids=["parts", "url"])
def test_what_was_said_once_holds_in_every_later_shell_and_is_told_to_the_server_alone(
    variables: dict[str, str], prefix: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as shell:
        for name, text in named(variables, prefix).items():
            shell.setenv(name, text)
        stack._settle_database()
        first = stack._environment_of(SERVER)
        others = [stack.environment(), *(stack._environment_of(name) for name in stack.parts if name != SERVER)]
        assert not [text for told in others for text in told.values() if PASSWORD in text]
    stack._settle_database()
    later = stack._environment_of(SERVER)
    assert {name: text for name, text in later.items() if "DATABASE" in name} == named(variables)
    assert {name: first[name] for name in named(variables)} == named(variables)
    assert stat.S_IMODE((stack.home / "database.json").stat().st_mode) == 0o600
    assert _digest(stack.root, place(kept(stack.home))) != _digest(stack.root, place({})), (
        "nothing is deployed there yet"
    )


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("before", "now", "places"),
    [
        ({}, PARTS, (OWN_FILE, PLACE)),
        (PARTS, ELSEWHERE, (PLACE, "postgresql+asyncpg://other.example:5432/runs")),
        (URL, PARTS | {"NAME": "others"}, (PLACE, "postgresql+asyncpg://db.example:5432/others")),
        (URL, PARTS | {"PORT": "6432"}, (PLACE, "postgresql+asyncpg://db.example:6432/runs")),
        (URL, {"DRIVER": "sqlite+aiosqlite"}, (PLACE, OWN_FILE)),
        (URL, {"CONNECTION_URL": "sqlite+aiosqlite:////tmp/a.db"}, (PLACE, "sqlite+aiosqlite:////tmp/a.db")),
    ],
)
def test_another_database_is_refused_before_anything_starts_with_both_and_the_way_out(
    before: dict[str, str],
    now: dict[str, str],
    places: tuple[str, str],
    prefix: str,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle(stack.home, named(before), None)
    for name, text in named(now, prefix).items():
        monkeypatch.setenv(name, text)
    said_to_user: list[str] = []
    with pytest.raises(StackError) as refused:
        stack.up(said_to_user.append)
    assert all(one in str(refused.value) for one in (*places, f"`cpl down`, delete {stack.home / 'database.json'}"))
    assert PASSWORD not in str(refused.value)
    assert said_to_user == []
    assert kept(stack.home) == named(before)

    (stack.home / "database.json").unlink()
    stack._settle_database()
    assert place(kept(stack.home)) == places[1]


def test_a_new_password_and_another_spelling_are_no_other_database(tmp_path: Path) -> None:
    settle(tmp_path, named(URL), None)
    settle(tmp_path, named(PARTS | {"PASSWORD": "new"}), None)
    assert kept(tmp_path) == named(PARTS | {"PASSWORD": "new"})
    settle(tmp_path, named({"PASSWORD": "newer"}, PREFIXES[1]), None)
    assert kept(tmp_path) == named(PARTS | {"PASSWORD": "newer"})
    both = named({"NAME": "second"}, PREFIXES[1]) | named({"NAME": "first", "HOST": ""})
    assert said(both) == named({"NAME": "first"}), "as Prefect reads them"


def test_a_server_that_runs_says_which_database_is_in_use_where_nothing_was_kept(tmp_path: Path) -> None:
    """One of an earlier version; or the file was deleted, and `cpl down` forgotten."""
    with pytest.raises(ValueError, match=re.escape(PLACE)):
        settle(tmp_path, named(ELSEWHERE), named(PARTS))
    assert not kept(tmp_path)
    settle(tmp_path, {}, named(PARTS))
    assert kept(tmp_path) == named(PARTS)


def test_an_address_that_is_none_is_told_without_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CONNECTION_URL is no address") as told:
        settle(tmp_path, named({"CONNECTION_URL": f"{PASSWORD}@nowhere"}), None)
    assert PASSWORD not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
    assert not (tmp_path / "database.json").exists()
