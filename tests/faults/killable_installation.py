"""The real service with its own data, which can be killed while each recording is at a chosen step."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeVar

import httpx
from websockets.sync.client import connect

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.model.recording import Recording
from tests.e2e.server import Server, command, until
from tests.faults.killed_process import Control
from tests.servers.customer_server import Customer

ACCOUNT: Final = "ab" * 16
DELIVERED: Final = "spool.remove#2 after"
"""The last step after a recording was stored and delivered."""
PURGED: Final = "spool.remove#4 after"
"""The last step after a recording was purged."""
WAIT_SECONDS: Final = 120.0
"""Longer than the 90 seconds after which a delivery is due again if all delivery slots of its account were in use."""
_AUDIO_MS: Final = 300
_KEPT: Final = ("media", "renditions/kept")
"""The subfolders of the data folder that may have files when no work is left."""
_Found = TypeVar("_Found")


class Life:
    """One recording with its own call, from the start to the purge."""

    def __init__(self, installation: "Installation", number: int) -> None:
        self._installation = installation
        self._started = monotonic()
        self._open = ExitStack()
        self._call = self._open.enter_context(connect(installation.stream, compression=None, proxy=None))
        self.path = f"/life-{number}/"
        call_id = f"call-{number}"
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1}
        start = {"streamSid": call_id, "callSid": call_id, "accountSid": "x", "mediaFormat": form}
        self._send({"event": "start", "sequenceNumber": "1", "streamSid": call_id, "start": start})
        url = f"{installation.customer.url}{self.path}"
        self.id: str = installation.client.start(call_id, url=url)["plainId"]
        self._talk(number)

    def _send(self, message: Mapping[str, Any]) -> None:
        self._call.send(json.dumps(message))

    def _talk(self, number: int) -> None:
        # All audio at once, as after a network delay. Each recording has different audio.
        at = str(round((monotonic() - self._started) * 1_000))
        for track, pitch in (("inbound", 3), ("outbound", 5)):
            audio = bytes((index * (pitch + number) // 16) & 0xFF for index in range(_AUDIO_MS * 8))
            media = {"track": track, "timestamp": at, "payload": b64encode(audio).decode()}
            self._send({"event": "media", "media": media})

    @property
    def is_spooled(self) -> bool:
        """Return true if all audio is on the service's disk."""
        tracks = list((self._installation.data / "spool" / self.id).glob("*.mulaw"))
        return len(tracks) == 2 and all(track.stat().st_size >= _AUDIO_MS * 8 for track in tracks)

    def steps(self) -> list[str]:
        """Return the steps of this recording so far."""
        prefix = f"{self.id} "
        trace = self._installation.control.trace()
        return [line.removeprefix(prefix) for line in trace if line.startswith(prefix)]

    def hang_up(self) -> None:
        """End the call and its recording."""
        self._send({"event": "stop"})
        self._open.close()

    def break_off(self) -> None:
        """Close the connection to a killed server."""
        with suppress(Exception):
            self._open.close()

    def run(self, until_step: str) -> None:
        """End, finalize, deliver, play in another format, delete and purge the recording, up to a step."""
        self.hang_up()
        if until_step.startswith("customer"):
            until(self.delivery_ids, WAIT_SECONDS)
            return
        if self._reaches(until_step, lambda: DELIVERED in self.steps()):
            return
        playback = self._installation.send("GET", f"/media/{self.id}?format=wav")
        if self._reaches(until_step, playback.done):
            return
        assert playback.result() == 200
        query = "mutation M($id: ID!) { deleteRecording(input: {id: $id}) { errors { __typename } } }"
        self._installation.send("POST", "/graphql", {"query": query, "variables": {"id": self.id}})
        assert self._reaches(until_step, lambda: PURGED in self.steps())

    def _reaches(self, step: str, is_finished: Callable[[], bool]) -> bool:
        """Wait for a step or for the end of the current phase. Return true if the step was reached."""
        until(lambda: step in self.steps() or is_finished(), WAIT_SECONDS, pause=0.01)
        return step in self.steps()

    def delivery_ids(self) -> list[str]:
        """Return the delivery id of each request for this recording that the customer received."""
        received = self._installation.customer.received
        return [each.headers["Recording-Delivery-Id"] for each in received if each.path.startswith(self.path)]


class Installation:
    """A service, its customer, and the folder with the plan for its kill."""

    def __init__(self, folder: Path, customer: Customer, **variables: str) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._folder = folder / "control"
        self._folder.mkdir()
        self.control = Control(self._folder)
        self.customer = customer
        self._variables: dict[str, Any] = {"RECORDINGS_PRIVATE_HOSTS": "127.0.0.1", **variables}
        self._threads = ThreadPoolExecutor(64)
        self._count = 0
        self._hashes: set[str] = set()
        rest = ("--trash-days", "0", "--log-level", "warning")
        self.server = Server(self.data, *rest, TMPDIR=str(self.temporary), **self._variables)
        token, self._ingest = self.with_services(_make_account)
        self.client = self.server.client(token)

    @property
    def has_folder(self) -> bool:
        """Return true if audio is stored in the data folder."""
        return "RECORDINGS_MEDIA" not in self._variables

    @property
    def stream(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}{self._ingest}/ws"

    def with_services(self, work: Callable[[Services], Awaitable[_Found]]) -> _Found:
        """Call `work` with services on the same data, in this process."""
        return asyncio.run(self._with(work))

    async def _with(self, work: Callable[[Services], Awaitable[_Found]]) -> _Found:
        settings = {name: value for name, value in self._variables.items() if name.startswith("RECORDINGS_")}
        async with open_services(load(settings, {"data": str(self.data)})) as services:
            return await work(services)

    def launch(self, hold: Collection[str] = (), workers: int = 2) -> None:
        """Start the service and do not wait for it. It stops at each step in `hold`.

        A stopped step occupies a worker, so there must be enough `workers` for all of them.
        """
        (self._folder / "trace").unlink(missing_ok=True)
        self.control.hold(hold)
        self.server.launch(
            "--audio-workers", str(workers), prepare=("tests.faults.killed_process:arm", str(self._folder))
        )

    def start(self, workers: int = 2) -> None:
        """Start the service and wait for it."""
        self.launch(workers=workers)
        self.server.wait_until_ready()

    def begin(self) -> Life:
        """Start a recording."""
        self._count += 1
        return Life(self, self._count)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request in a thread, and return a future of its status. There may never be a response."""

        def request() -> int:
            try:
                return self.client.http.request(method, path, json=body).status_code
            except httpx.HTTPError:
                return 0

        return self._threads.submit(request)

    def kill(self) -> None:
        """Kill the service with `kill -9`. Wait until all its processes are gone."""
        assert self.server.process is not None
        family = descendants(self.server.process.pid)
        self.server.kill()
        until(lambda: not family & living_processes().keys())

    def close(self) -> None:
        self.server.__exit__()
        self._threads.shutdown()

    def load(self, ids: Sequence[str]) -> list[Recording]:
        """Load recordings from the metadata store, including tombstones."""

        async def load(services: Services) -> list[Recording]:
            return [found for name in ids if (found := await services.store.load(name))]

        found = self.with_services(load)
        assert len(found) == len(ids)
        return found

    def examine(self, hashes: Collection[str]) -> None:
        """Check that `recordings doctor` finds nothing three days later, and that no unneeded file is left.

        `hashes` are the SHA-256 of the new audio, in addition to the audio of earlier calls.
        """
        later = ("tests.faults.killed_process:later", "3")
        ended = command("doctor", "--verify", "1", data=self.data, prepare=later, **self._variables)
        assert (ended.returncode, ended.stdout) == (0, ""), (ended.stdout, ended.stderr)
        assert [path for path in self.temporary.rglob("*") if path.is_file()] == []
        files = [path.relative_to(self.data) for path in self.data.rglob("*") if path.is_file()]
        assert [str(path) for path in files if len(path.parts) > 1 and not str(path).startswith(_KEPT)] == []
        self._hashes.update(hashes)
        kept = (self.data / "renditions" / "kept").iterdir()
        assert {path.name.partition(".")[0] for path in kept} <= self._hashes


async def _make_account(services: Services) -> tuple[str, str]:
    await services.accounts.create_account("Acme", account_id=ACCOUNT)
    made = await services.accounts.create_ingest(ACCOUNT)
    token = services.tokens.issue(Principal(ACCOUNT, frozenset(DEFAULT_SCOPES)), 3_600)
    return token, f"/ingest/{made.address.id}/{made.secret}"


def living_processes() -> dict[tuple[int, int], int]:
    """Return the parent of each living process. The key is the process id and the start time."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                state, parent, *rest = (folder / "stat").read_text().rpartition(") ")[2].split()
                if state not in {"Z", "X"}:
                    found[int(folder.name), int(rest[17])] = int(parent)
    return found


def descendants(pid: int) -> set[tuple[int, int]]:
    """Return a process and all its descendants."""
    living = living_processes()
    family, found = {pid}, set[tuple[int, int]]()
    while more := {each for each, parent in living.items() if each not in found and {each[0], parent} & family}:
        found |= more
        family |= {process for process, _ in more}
    return found
