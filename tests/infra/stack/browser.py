"""A real browser, headless, steered through its DevTools protocol: what a page can do is for a browser to say."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Browser:
    """One window. Its pages see `evil.example` at this machine's loopback, as after DNS rebinding."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._asked = connection, 0
        self.heard: list[dict[str, Any]] = []
        self._session: str | None = None
        window = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=window, flatten=True)["sessionId"]
        self._call("Page.enable")

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        while self.run("document.readyState") != "complete" or self.run("location.href") == "about:blank":
            time.sleep(0.05)

    def grow(self, width: int, height: int) -> None:
        """The window, in pixels: long lists of the UI hold what can be seen of them."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def leave(self) -> None:
        """Shows nothing: the UI draws, and asks its server, for as long as it is open."""
        self._call("Page.navigate", url="about:blank")

    def run(self, script: str) -> Any:
        """The value (JSON) of a script in the page that is open; a promise is waited for."""
        told = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, condition: str) -> None:
        """Waits until the script is true in the page."""
        deadline = time.monotonic() + 60
        while not self.run(condition):
            assert time.monotonic() < deadline, f"never: {condition}\n{self.run('document.body.innerText')}"
            time.sleep(0.02)

    def click(self, words: str, behind: int = 0) -> None:
        """Clicks on what says these words and nothing else, the last of it, once there is more than `behind`."""
        says = f"((one) => one.innerText?.trim() === {json.dumps(words)})"
        those = f"[...document.querySelectorAll('*')].filter((one) => {says}(one) && ![...one.children].some({says}))"
        self.until(f"{those}.length > {behind}")
        self.run(f"{those}.at(-1).click()")

    def go_offline(self) -> None:
        """From here on nothing leads anywhere, and `heard` has every request, and what a page says on its console."""
        for domain in ("Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self._call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
        )

    def said(self, *methods: str) -> list[dict[str, Any]]:
        """The parameters of the events of these names so far."""
        self.run("0")  # what was said before that is here now
        return [event["params"] for event in self.heard if event["method"] in methods]

    def press(self, *keys: str) -> None:
        """Presses and lets go keys, by their names (ArrowDown, Enter, a)."""
        for key in keys:
            event: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": 8 if key == "Backspace" else 0}
            self._call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": key} if len(key) == 1 else {}))
            self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def printed(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode(self._call("Page.printToPDF")["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._asked += 1
        session = {"sessionId": self._session} if self._session else {}
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": parameters} | session))
        while (told := json.loads(self._connection.recv(timeout=60))).get("id") != self._asked:
            self.heard.append(told)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Skips the test where there is no browser; in CI there must be one (.ci/run installs it)."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        assert not os.environ.get("CI"), f"none of {', '.join(NAMES)} is installed"
        pytest.skip("needs chromium")
    options = [
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--remote-debugging-port=0", f"--user-data-dir={folder}"),
        "--host-resolver-rules=MAP evil.example 127.0.0.1",
    ]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, *options], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        told, deadline = folder / "DevToolsActivePort", time.monotonic() + 60
        while not (told.exists() and len(told.read_text().splitlines()) == 2):
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.05)
        port, path = told.read_text().splitlines()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait(30)
