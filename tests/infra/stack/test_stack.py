"""The local stack: up, up again, a part lost, a flow run, changed variables, down."""

import json
import socket
import stat
import subprocess
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from infra.desk.cli import app
from infra.environment import add_stack, stack_variables
from infra.fan_out import why_it_waits
from infra.stack import api, variables, weed
from infra.stack.local import POOL, SEARCHER, SERVER, STORE, WATCH, WORKER, Stack, StackError
from infra.stack.metrics import FILE, Metrics
from tests.infra.stack.stacks import CRASHED, in_repository, is_alive, process_of, start_long_flow, wait_for

ALL = (SERVER, STORE, WORKER, SEARCHER, WATCH)


def pids(stack: Stack) -> dict[str, int | None]:
    return {part.name: part.pid for part in stack.status()}


@pytest.mark.integration
def test_up_brings_every_part_up_and_keeps_its_keys_to_itself(stack: Stack) -> None:
    assert {part.name: part.state for part in stack.status()} == dict.fromkeys(ALL, "running")
    for kept in ("stack.env", "database.json", "s3/identities.json", "s3/security.toml", "s3/key.pem"):
        assert stat.S_IMODE((stack.home / kept).stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.root / "prefect.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.home / "s3").stat().st_mode) == 0o700
    addresses = {
        connection.laddr.ip
        for part in stack.parts.values()
        if (process := part.process()) is not None
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.integration
def test_the_address_that_is_printed_opens_the_ui_that_a_runs_address_opens(stack: Stack) -> None:
    """Prefect has two; its own messages print addresses of the first, and "/" leads to the one of the settings."""
    opened = {path: httpx.get(stack.ui + path, headers={"accept": "text/html"}) for path in ("/", "/runs/flow-run/x")}
    assert {path: page.status_code for path, page in opened.items()} == dict.fromkeys(opened, 200)
    assert opened["/"].text == opened["/runs/flow-run/x"].text


@pytest.mark.integration
def test_up_again_changes_nothing(stack: Stack) -> None:
    before, environment = pids(stack), (stack.home / "stack.env").read_text()
    said: list[str] = []
    Stack(stack.home, stack.root).up(said.append)
    assert pids(stack) == before
    assert (stack.home / "stack.env").read_text() == environment
    assert said == []


@pytest.mark.integration
def test_a_flow_runs_from_the_root_with_the_environment_of_the_stack(stack: Stack) -> None:
    metrics = Metrics(stack.home, stack.parts)
    done = in_repository(stack, "prefect", "deployment", "run", "cpl/round", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr + stack.parts[WORKER].log_tail(60)
    assert (stack.root / "seen.txt").read_text() == f"sibling {stack.store} {stack.root}"
    lines = [line for line in stack.parts[WORKER].log.read_text().splitlines() if line.startswith("{")]
    assert "Finished in state Completed()" in {json.loads(line)["message"] for line in lines}
    metrics.write(stack.root / "metrics")
    told = (stack.root / "metrics" / FILE).read_text()
    assert 'cpl_flow_runs_ended_total{state="Completed"} 1.0\n' in told
    assert all(f'cpl_part_up{{part="{name}"}} 1.0\n' in told for name in stack.parts)
    assert 'cpl_flow_runs{state="Running"}' in told


@pytest.mark.integration
def test_of_a_run_that_waits_it_is_told_whether_its_queue_is_served(stack: Stack) -> None:
    known = stack_variables(stack.home)
    server = {PREFECT_API_URL: known["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: known["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(server), get_client(sync_client=True) as client:
        client.create_work_queue("of-nobody", work_pool_name=POOL)

        def told(queue: str) -> str:
            return why_it_waits(client, FlowRun(flow_id=uuid4(), work_pool_name=POOL, work_queue_name=queue))

        assert told("of-nobody").startswith(f"work pool '{POOL}', queue 'of-nobody': no worker serves it")
        wait_for(lambda: told("trainings").endswith("queue 'trainings': its workers have no room yet"), stack)
        assert told("that is not there") == f"work pool '{POOL}', queue 'that is not there'"


@pytest.mark.integration
def test_up_restarts_a_part_that_was_killed(stack: Stack) -> None:
    before = pids(stack)
    for name in (WATCH, STORE, WORKER):
        process = process_of(stack, name)
        process.kill()
        process.wait()
    stopped = {part.name for part in stack.status() if part.state == "stopped"}
    assert stopped == {WATCH, STORE, WORKER}
    said: list[str] = []
    stack.up(said.append)
    after = pids(stack)
    assert all(part.state == "running" for part in stack.status())
    assert after[SERVER] == before[SERVER]
    assert after[STORE] != before[STORE]
    assert sorted(said) == sorted(
        f"{name}: {what}" for name in (STORE, WORKER, WATCH) for what in ("starting", "ready")
    )


@pytest.mark.integration
def test_what_up_started_and_could_not_write_down_is_found(stack: Stack) -> None:
    """As when `cpl up` is killed between the two."""
    before = pids(stack)
    for part in stack.parts.values():
        part.pid_file.unlink()
    assert [part.state for part in stack.status()] == ["stopped"] * len(ALL)
    stack.up(print)
    assert pids(stack) == before


@pytest.mark.integration
def test_status_is_a_table_or_json(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_HOME", str(stack.home))
    table = CliRunner().invoke(app, ["status"])
    assert table.exit_code == 0
    assert f"UI: {stack.ui}" in table.stdout
    assert "`cpl login`" in table.stdout
    login = CliRunner().invoke(app, ["login"]).stdout.strip()
    assert login == stack_variables(stack.home)["PREFECT_API_AUTH_STRING"]
    assert login not in table.stdout
    document = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert document["ui"] == stack.ui
    assert [part["state"] for part in document["parts"]] == ["running"] * len(ALL)
    assert all(part["mebibytes"] > 5 and 0 < part["cores"] < 2 for part in document["parts"])
    whole = next(line.split() for line in table.stdout.splitlines() if line.startswith("all "))
    assert float(whole[1]) == pytest.approx(sum(part["mebibytes"] for part in document["parts"]), rel=0.2)


@pytest.mark.integration
def test_a_flow_that_cannot_be_imported_is_told_and_a_mended_one_is_deployed(stack: Stack) -> None:
    campaign = stack.root / "flows/campaign.py"
    good = campaign.read_text()
    campaign.write_text("import a_module_that_is_not_there\n" + good)
    with pytest.raises(StackError, match="a_module_that_is_not_there"):
        stack.up(print)
    campaign.write_text(good + "\n")
    said: list[str] = []
    stack.up(said.append)
    assert said == ["deployments: writing", "deployments: ready"]


@pytest.mark.integration
def test_up_gives_changed_variables_to_the_workers_when_no_flow_runs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, child = pids(stack), start_long_flow(stack)
    monkeypatch.setenv("HF_TOKEN", "a-token")
    said: list[str] = []
    stack.up(said.append)
    assert len(said) == 1
    assert "keep the old variables" in said[0]
    assert "`cpl down`, `cpl up`" in said[0]
    assert pids(stack) == before

    child.kill()
    wait_for(lambda: not api.is_busy(stack.home, POOL), stack)
    said.clear()
    stack.up(said.append)
    anew = (WORKER, SEARCHER, WATCH)
    assert "start anew" in said[0]
    assert sorted(said[1:]) == sorted(f"{name}: {what}" for name in anew for what in ("starting", "ready"))
    assert all(process_of(stack, name).environ()["HF_TOKEN"] == "a-token" for name in anew)
    after = pids(stack)
    assert (after[SERVER], after[STORE]) == (before[SERVER], before[STORE])
    assert "a-token" not in (stack.home / "stack.json").read_text()

    said.clear()
    monkeypatch.setenv("CPL_HOME", str(stack.home))
    stack.up(said.append)
    assert said == [], "the same variables, and the same home by another name"


@pytest.mark.integration
def test_down_ends_all_that_the_stack_started(stack: Stack) -> None:
    """A flow whose worker was killed, with a child in a session of its own; then another, whose flow was killed too."""
    stack.parts[WATCH].end()
    orphans = []
    for with_flow in (False, True):
        child = start_long_flow(stack)
        flow, worker = child.parent(), process_of(stack, WORKER)
        assert flow is not None
        for killed in (worker, flow) if with_flow else (worker,):
            killed.kill()
            killed.wait()
        orphans += [child] if with_flow else [child, flow]
        if not with_flow:
            api.ask(stack.home, "POST", f"/flow_runs/{flow.environ()['PREFECT__FLOW_RUN_ID']}/set_state", CRASHED)
            stack.up(print)
            stack.parts[WATCH].end()
    orphans += [process for part in stack.parts.values() if (process := part.process()) is not None]
    assert all(is_alive(process) for process in orphans)
    said: list[str] = []
    stack.down(said.append)
    assert not [process for process in orphans if is_alive(process)]
    assert sum(f"(pid {process.pid})" in line for process in orphans for line in said) >= 2
    assert [part.state for part in stack.status()] == ["stopped"] * len(ALL)
    said.clear()
    stack.down(said.append)
    assert said == [f"{name}: was not running" for name in (WATCH, WORKER, SEARCHER, SERVER, STORE)]


def test_a_port_that_somebody_else_took_is_named(tmp_path: Path) -> None:
    (tmp_path / "prefect.yaml").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (tmp_path / ".cpl").mkdir()
        ports = dict.fromkeys(("prefect", "s3", "master", "volume", "filer"), port)
        (tmp_path / ".cpl/stack.json").write_text(json.dumps({"ports": ports}))
        with pytest.raises(StackError, match=f"port {port} of 127.0.0.1 is taken"):
            Stack(tmp_path / ".cpl", tmp_path).up(print)


def test_up_elsewhere_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="root of the repository"):
        Stack(tmp_path / ".cpl", tmp_path).up(print)


def test_a_prefect_toml_of_the_user_is_kept(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "https://prefect.example/api"\n')
    (tmp_path / ".cpl").mkdir()
    variables.settle(tmp_path / ".cpl", tmp_path, dict.fromkeys(("prefect", *weed.ROLES), 1))
    assert "prefect.example" in (tmp_path / "prefect.toml").read_text()


@pytest.mark.parametrize("name", ["it's", "a ${HOME} of $(date)", "both '\"$x` \\ # and, a comma", "line\nbreak"])
def test_a_home_may_have_any_name(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    home.mkdir()
    variables.settle(home, tmp_path, dict.fromkeys(("prefect", *weed.ROLES), 1))
    assert stack_variables(home)["PREFECT_HOME"] == str(home / "prefect")
    script = ["bash", "-c", 'set -a; source "$1"; set +a; printf %s "$PREFECT_HOME"', "bash", str(home / "stack.env")]
    assert subprocess.run(script, capture_output=True, text=True, check=True).stdout == str(home / "prefect")


def test_a_new_address_gets_a_new_login_for_another_program_may_have_heard_the_old_one(tmp_path: Path) -> None:
    def settled(port: int) -> tuple[str, str]:
        variables.settle(tmp_path, tmp_path, dict.fromkeys(("prefect", *weed.ROLES), port))
        known = stack_variables(tmp_path)
        assert known["PREFECT_SERVER_API_AUTH_STRING"] == known["PREFECT_API_AUTH_STRING"]
        return known["PREFECT_API_AUTH_STRING"], known["AWS_SECRET_ACCESS_KEY"]

    (login, key), again, (elsewhere, kept) = settled(1), settled(1), settled(2)
    assert again == (login, key)
    assert elsewhere != login
    assert kept == key, "the store's key is never sent, only what was signed with it"


def test_a_home_of_a_version_without_a_login_gets_one(tmp_path: Path) -> None:
    ports = dict.fromkeys(("prefect", *weed.ROLES), 1)
    (tmp_path / "stack.env").write_text("PREFECT_API_URL=http://127.0.0.1:1/api\n")
    variables.settle(tmp_path, tmp_path, ports)
    assert stack_variables(tmp_path)["PREFECT_API_AUTH_STRING"].startswith("cpl:")


def test_what_lies_in_the_home_is_the_owners_to_read(tmp_path: Path) -> None:
    home = tmp_path / ".cpl"
    Stack(home, tmp_path).down(print)
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_login_is_sent_to_no_other_server() -> None:
    stack = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_API_AUTH_STRING": "cpl:secret"}
    environment: dict[str, str] = {}
    add_stack(environment, stack)
    assert environment == stack
    add_stack(elsewhere := {"PREFECT_API_URL": "https://prefect.example/api"}, stack)
    assert elsewhere == {"PREFECT_API_URL": "https://prefect.example/api"}


def test_the_store_is_told_no_keys_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """weed would make whatever keys it finds in AWS_* those of an administrator."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-a-real-account")
    monkeypatch.setenv("HF_TOKEN", "a-token")
    stack = Stack(tmp_path, tmp_path)
    assert not [name for name in stack._environment_of(STORE) if name.startswith(("AWS_", "HF_", "PREFECT_"))]
    assert not [name for name in stack._environment_of(SERVER) if name.startswith(("AWS_", "HF_"))]
    assert stack._environment_of(WORKER)["HF_TOKEN"] == "a-token"


def test_where_nothing_was_started_every_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_HOME", str(tmp_path / "home"))
    status = CliRunner().invoke(app, ["status"])
    assert (status.exit_code, "never started" in status.stdout) == (1, True)
    login = CliRunner().invoke(app, ["login"])
    assert (login.exit_code, "`cpl up` makes it" in login.output) == (1, True)
    assert CliRunner().invoke(app, ["down"]).exit_code == 0
