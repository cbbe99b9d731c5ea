"""Servers that take a conditional write and ignore its condition: refused once for all, before anything is stored."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.environment import Environment
from infra.store import Store
from infra.store.conditions import ConditionsIgnored
from tests.stages import commit


class StandIn(ThreadingHTTPServer):
    """As much of S3 as the store needs to be opened, in memory; it honours the conditions in `honoured` alone."""

    def __init__(self, honoured: set[str]) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.honoured = honoured
        self.objects: dict[str, bytes] = {}
        self.writes: list[str] = []


class Request(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"  # which answers "Expect: 100-continue" at once

    def log_message(self, format: str, *words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(200)

    def do_GET(self) -> None:
        found = self.server.objects.get(self.path)
        error = b"<Error><Code>NoSuchKey</Code></Error>"
        self._answer(404 if found is None else 200, error if found is None else found)

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.path, None)
        self._answer(204)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        old = self.server.objects.get(self.path)
        asked = {name: self.headers[name] for name in self.server.honoured if name in self.headers}
        if (old is not None and "If-None-Match" in asked) or asked.get("If-Match", etag(old)) != etag(old):
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.server.objects[self.path] = data
        self.server.writes.append(self.path)
        self._answer(200)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", etag(self.server.objects.get(self.path)))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def etag(data: bytes | None) -> str:
    return f'"{hashlib.md5(data or b"").hexdigest()}"'


@pytest.fixture
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    server = StandIn(request.param)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("stand_in", "ignored"),
    [(set(), "If-None-Match"), ({"If-None-Match"}, r"\(If-Match"), ({"If-Match"}, "If-None-Match")],
    indirect=["stand_in"],
)
def test_a_server_that_ignores_a_condition_is_refused_and_told(stand_in: StandIn, ignored: str, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ConditionsIgnored, match=ignored) as problem:
            Store.open(Environment(home=tmp_path, store="s3://bucket/prefix"))
        assert "AWS_ENDPOINT_URL" in str(problem.value)
    assert stand_in.objects == {}, "the probe is gone, and there is no mark that would have it believed"


@pytest.mark.parametrize("stand_in", [{"If-None-Match", "If-Match"}], indirect=True)
def test_a_server_that_honours_them_is_proved_once(stand_in: StandIn, tmp_path: Path) -> None:
    Store.open(Environment(home=tmp_path, store="s3://bucket/prefix"))
    (mark,) = stand_in.objects
    assert mark.startswith("/bucket/prefix/conditions/")
    written = len(stand_in.writes)
    Store.open(Environment(home=tmp_path / "another", store="s3://bucket/prefix"))
    assert len(stand_in.writes) == written


@pytest.mark.integration
def test_the_stacks_own_server_honours_them(store: Store) -> None:
    assert [name.split("/")[0] for name in store.names("")] == ["conditions"]
    assert store.put_if("once", b"1", {"IfNoneMatch": "*"})
    assert not store.put_if("once", b"2", {"IfNoneMatch": "*"})
    commit(store, "search", "k")
