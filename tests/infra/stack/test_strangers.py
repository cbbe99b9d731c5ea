"""Who does not know the stack's keys and login gets nowhere: on this machine, and as a page in the user's browser."""

import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import httpx
import psutil
import pytest

from infra.environment import stack_variables
from infra.stack import api
from infra.stack.local import Stack
from tests.infra.stack.browser import Browser, browser
from tests.infra.stack.stacks import wait_for

pytestmark = pytest.mark.integration

EVIL = "http://evil.example"
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
PATHS = [
    *("/buckets/", "/buckets/cpl/kept", "/cpl", "/cpl/kept", "/?Action=ListUsers"),
    *("/dir/assign", "/dir/lookup?volumeId=1", "/dir/status", "/vol/status", "/cluster/status", "/ui/index.html"),
    *("/api/admin/settings", "/api/deployments/filter", "/api/deployments/name/cpl/round", "/api/flow_runs/filter"),
    *("/api/block_documents/filter", "/api/variables/filter", "/api/events/filter", "/api/csrf-token?client=me"),
]
ATTACK = """
(async (attempts) => {
  const outcomes = []
  for (const [method, url, options] of attempts) {
    try {
      const reply = await fetch(url, {method, ...options})
      outcomes.push([method, url, reply.type, reply.status, await reply.text()])
    } catch (problem) { outcomes.push([method, url, "refused", 0, String(problem)]) }
  }
  return outcomes
})(%s)
"""
FAKE_EVENTS = """
new Promise((done) => {
  const socket = new WebSocket(%s, "prefect")
  const said = []
  socket.onopen = () => { said.push("open"); socket.send('{"type": "auth", "token": null}'); socket.send('{}') }
  socket.onmessage = (message) => said.push(message.data)
  socket.onclose = (end) => done([...said, end.code])
})
"""


@pytest.fixture(scope="module")
def stack(shared: Stack) -> Stack:
    shared.up(print)
    return shared


@pytest.fixture(scope="module")
def s3(stack: Stack) -> Any:
    """The store with its keys; the object `kept` is in the bucket `cpl`."""
    known = stack_variables(stack.home)
    client = boto3.client(
        "s3",
        endpoint_url=known["AWS_ENDPOINT_URL"],
        region_name=known["AWS_REGION"],
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket="cpl")
    client.put_object(Bucket="cpl", Key="kept", Body=b"what only the owner reads")
    return client


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as window:
        yield window


@pytest.fixture(scope="module")
def hostile_page() -> Iterator[str]:
    """The address of a page of another origin."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>harmless</title>")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{EVIL}:{server.server_port}/"
        server.shutdown()


def listening(stack: Stack) -> set[int]:
    """Every port that a process of the stack listens on."""
    started = [process for part in stack.parts.values() if (process := part.process())]
    family = [one for process in started for one in (process, *process.children(recursive=True))]
    sockets = [socket for process in family for socket in process.net_connections()]
    return {socket.laddr.port for socket in sockets if socket.status == psutil.CONN_LISTEN}


def flow_runs(stack: Stack) -> set[str]:
    """Which there are; what their states are is the watch's business, which goes on meanwhile."""
    return {run["id"] for run in api.ask(stack.home, "POST", "/flow_runs/filter", {})}


def round_id(stack: Stack) -> str:
    return str(api.ask(stack.home, "GET", "/deployments/name/cpl/round")["id"])


def test_no_port_answers_who_has_neither_key_nor_login(stack: Stack, s3: Any) -> None:
    ports, before = listening(stack), flow_runs(stack)
    assert len(ports) >= 9, "Prefect, and weed's four roles with HTTP and gRPC each"
    paths = [*PATHS, f"/api/deployments/{round_id(stack)}/create_flow_run"]
    headers = {"Origin": EVIL, "Host": "evil.example", "Access-Control-Request-Method": "PUT"}
    answered = []
    with httpx.Client(verify=False, trust_env=False, timeout=5, headers=headers) as stranger:
        nothing = stranger.get(stack.ui).text  # the UI's empty page, which is whatever is not its API
        for port, scheme, method, path in itertools.product(ports, ("http", "https"), METHODS, paths):
            try:
                reply = stranger.request(method, f"{scheme}://127.0.0.1:{port}{path}")
            except httpx.TransportError:
                continue
            if reply.status_code < 400 and reply.text != nothing:
                answered.append((method, str(reply.url), reply.status_code, reply.text[:80]))
    assert answered == []
    assert flow_runs(stack) == before
    assert s3.get_object(Bucket="cpl", Key="kept")["Body"].read() == b"what only the owner reads"


def attempts(stack: Stack) -> list[tuple[str, str, dict[str, Any]]]:
    """To read, start runs, write and delete: openly, and in the ways for which a browser does not ask first."""
    run = json.dumps({"job_variables": {"command": f"touch {stack.root}/pwned"}})
    start = f"{stack.ui}/api/deployments/{round_id(stack)}/create_flow_run"
    blindly = {"mode": "no-cors", "headers": {"content-type": "text/plain"}, "body": run}
    found: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"{stack.ui}/api/deployments/name/cpl/round", {}),
        ("POST", start, {"headers": {"content-type": "application/json"}, "body": run}),
        ("POST", start, blindly),
        ("POST", start, {"mode": "no-cors", "body": run}),
    ]
    for port in listening(stack):
        places = [
            f"{scheme}://127.0.0.1:{port}/{path}" for scheme in ("http", "https") for path in ("buckets/cpl", "cpl")
        ]
        for place in places:
            found += [
                ("GET", f"{place}/kept", {}),
                ("PUT", f"{place}/planted", {"body": "planted"}),
                ("POST", f"{place}/planted", {"mode": "no-cors", "body": "planted"}),
                ("DELETE", f"{place}/kept?recursive=true", {}),
            ]
    return found


def nowhere(stack: Stack, s3: Any, outcomes: list[list[Any]], runs: set[str]) -> None:
    """Nothing was read, started (beside the `runs` that there were), written or deleted."""
    read = [one for one in outcomes if one[2] not in ("refused", "opaque") and one[3] < 400]
    assert read == []
    assert flow_runs(stack) == runs
    assert not (stack.root / "pwned").exists()
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="cpl")["Contents"]] == ["kept"]


def test_a_page_of_another_origin_gets_nowhere(stack: Stack, s3: Any, window: Browser, hostile_page: str) -> None:
    before = flow_runs(stack)
    window.open(hostile_page)
    assert window.run("location.origin").startswith(EVIL)
    outcomes = window.run(ATTACK % json.dumps(attempts(stack)))
    assert {one[2] for one in outcomes} <= {"refused", "opaque"}
    nowhere(stack, s3, outcomes, before)
    events = f"ws{stack.ui.removeprefix('http')}/api/events/in"
    assert window.run(FAKE_EVENTS % json.dumps(events)) == ["open", 1008]


def test_a_page_whose_name_leads_to_the_stack_gets_nowhere(stack: Stack, s3: Any, window: Browser) -> None:
    """DNS rebinding: the page's own origin is now the Prefect server."""
    before = flow_runs(stack)
    there = stack.ui.replace("http://127.0.0.1", EVIL)
    window.open(f"{there}/api/health")
    assert window.run("location.origin") == there
    at_home = [(method, url.replace(stack.ui, there), options) for method, url, options in attempts(stack)]
    outcomes = window.run(ATTACK % json.dumps(at_home))
    assert [one[3] for one in outcomes[:2]] == [401, 401], "here a page may read the answer, and there is none"
    nowhere(stack, s3, outcomes, before)


def test_the_ui_works_for_who_knows_the_login(stack: Stack, window: Browser) -> None:
    """The same request as the hostile pages sent, from the UI's own page with the login that `cpl login` prints."""
    before = flow_runs(stack)
    window.open(stack.ui)
    wait_for(lambda: window.run("location.pathname").endswith("/login"), stack, 30)
    password = json.dumps(api.login(stack.home))
    window.run(f"localStorage.setItem('prefect-password', btoa({password}))")  # as its login page does
    window.open(f"{stack.ui}/deployments")
    wait_for(lambda: "campaign" in window.run("document.body.innerText"), stack, 30)
    headers = {"content-type": "application/json", "authorization": "Basic "}
    start = f"{stack.ui}/api/deployments/{round_id(stack)}/create_flow_run"
    script = ATTACK % json.dumps([("POST", start, {"headers": headers, "body": "{}"})])
    script = script.replace('"Basic "', "'Basic ' + localStorage.getItem('prefect-password')")

    def starts() -> bool:
        ((_, _, _, status, _),) = window.run(script)
        assert status in (201, 503), "503: SQLite had another writer, and whoever asks asks again"
        return bool(status == 201)

    wait_for(starts, stack)
    assert len(flow_runs(stack)) == len(before) + 1


def test_no_secret_is_in_a_log_or_on_a_command_line(stack: Stack) -> None:
    known = stack_variables(stack.home)
    secrets = [api.login(stack.home).partition(":")[2], known["AWS_SECRET_ACCESS_KEY"], known["AWS_ACCESS_KEY_ID"]]
    logs = {path.name: path.read_text(errors="replace") for path in (stack.home / "logs").iterdir()}
    lines = {str(process.pid): " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}
    assert [name for name, text in (logs | lines).items() if any(secret in text for secret in secrets)] == []
    database = (stack.home / "prefect/prefect.db").read_bytes()
    assert not any(secret.encode() in database for secret in secrets)
