"""A headless Chromium, driven by the DevTools protocol over one WebSocket."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self

from websockets.sync.client import ClientConnection, connect

from tests.servers.server_process import die_with_parent

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
SECONDS: Final = 40.0
# Background networking is off: on a machine without the Internet, Chromium would retry its own requests all the time.
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1280,800",
    # Chromium's disk cache made some pages wait for a file longer than 40 s, without a request.
    "--disk-cache-dir=/dev/null",
)


class BrowserError(Exception):
    """The browser rejected a command, or a script in the page failed."""


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, or `None`."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser process with an empty profile. It ends with the `with` block."""

    def __init__(self, program: str, *options: str) -> None:
        self._program = program
        self._options = options
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._sent = 0

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="recordings-chromium-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [self._program, *_OPTIONS, *self._options, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - it makes one system call
        )
        with ExitStack() as stack:
            stack.callback(self._end)
            self._socket = stack.enter_context(self._connect())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self.call("Browser.close")
        self._stack.close()

    def page(self, *, dark: bool = False) -> "Page":
        """Open a tab. It shares `localStorage` with the other tabs, but not `sessionStorage`."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, target, session, dark=dark)

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Send one command, and return its result."""
        self._sent += 1
        command = {"id": self._sent, "method": method, "params": parameters}
        self._socket.send(json.dumps(command | ({"sessionId": session} if session else {})))
        while (message := self._receive(SECONDS)) is not None:
            if message.get("id") == self._sent:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
        raise TimeoutError(method)

    def events(self, session: str) -> list[dict[str, Any]]:
        """Return the events of a tab so far, oldest first."""
        return self._events.setdefault(session, [])

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        try:
            message: dict[str, Any] = json.loads(self._socket.recv(seconds))
        except TimeoutError:
            return None
        if "method" in message:
            self.events(message.get("sessionId", "")).append(message)
        return message

    def _connect(self) -> AbstractContextManager[ClientConnection]:
        # Chromium writes this file when it listens: the port, and the path of the browser's own WebSocket.
        file = Path(self._profile.name, "DevToolsActivePort")
        deadline = time.monotonic() + SECONDS
        while not (file.exists() and len(lines := file.read_text(encoding="utf-8").split()) == 2):
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"Chromium does not listen (exit code {self._process.poll()})"
                raise BrowserError(message)
            time.sleep(0.02)
        return connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_size=None, proxy=None, compression=None)

    def _end(self) -> None:
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()


class Page:
    """A tab of the browser."""

    def __init__(self, browser: Chromium, target: str, session: str, *, dark: bool) -> None:
        self._browser = browser
        self._target = target
        self._session = session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        # Of several tabs, only one has the focus. All must react to keys.
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        if dark:
            self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command to this tab."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, url: str) -> None:
        """Enter an address in the address bar."""
        self.call("Page.navigate", url=url)

    def close(self) -> None:
        """Leave the page, delete all storage of its origin, and close the tab."""
        origin = self.evaluate("origin")
        # A page that still runs may write its texts again after the deletion. The next test would then start with them.
        self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.open("about:blank")
        self.until("location.href === 'about:blank'")
        self.call("Storage.clearDataForOrigin", origin=origin, storageTypes="local_storage")
        self._browser.call("Target.closeTarget", targetId=self._target)

    def reload(self) -> None:
        """Reload the page."""
        self.evaluate("globalThis.isOld = true")
        self.call("Page.reload")
        self.until("!globalThis.isOld && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(answer["exceptionDetails"].get("exception", {}).get("description", script))
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = SECONDS) -> Any:
        """Evaluate an expression until its value is true, and return the value."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                value = self.evaluate(script)
            except BrowserError:
                # A navigation destroys the page in which the script ran.
                value = None
            if value:
                return value
            assert time.monotonic() < deadline, f"not true within {seconds} seconds: {script}\n{self.text()}"
            time.sleep(0.05)

    def text(self) -> str:
        """Return the visible text."""
        return str(self.evaluate("document.body.innerText"))

    def click(self, selector: str) -> None:
        """Click the middle of the first element that matches."""
        box = self.until(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})?.getBoundingClientRect();"
            "return box && [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type text at the cursor."""
        self.call("Input.insertText", text=text)

    def paste(self, text: str) -> None:
        """Paste text at the cursor."""
        self.evaluate(
            "(() => { const clipboardData = new DataTransfer();"
            f"clipboardData.setData('text/plain', {json.dumps(text)});"
            "document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true })); })()"
        )

    def press(self, key: str) -> None:
        """Press a key, such as `ArrowLeft` or a space."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def press_enter(self) -> None:
        """Press the Enter key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
            )

    def select_all(self) -> None:
        """Press Ctrl-A."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="a", code="KeyA", windowsVirtualKeyCode=65, modifiers=2)

    def screenshot(self, file: Path) -> None:
        """Write a PNG of the visible part."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def requests(self) -> Sequence[dict[str, Any]]:
        """Return all requests of this tab so far."""
        events = self._browser.events(self._session)
        return [each["params"]["request"] for each in events if each["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> Sequence[str]:
        """Return what the browser reported so far: CSP violations, failed loads and uncaught exceptions."""
        found = []
        for each in self._browser.events(self._session):
            if each["method"] == "Log.entryAdded" and each["params"]["entry"]["level"] == "error":
                found.append(each["params"]["entry"]["text"])
            if each["method"] == "Runtime.exceptionThrown":
                found.append(str(each["params"]["exceptionDetails"]))
        return found
