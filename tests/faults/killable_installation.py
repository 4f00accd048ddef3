"""The real service on data of its own, in which every recording can be killed at a moment of its own."""

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
"""What is last when a recording was stored and then delivered."""
PURGED: Final = "spool.remove#4 after"
"""What is last when it was purged."""
_AUDIO_MS: Final = 300
_KEPT: Final = ("media", "renditions/kept")
"""The folders of the data folder in which something lies for good, besides the files in itself."""
_Found = TypeVar("_Found")


class Life:
    """One recording of one call, which it has to itself."""

    def __init__(self, installation: "Installation", number: int) -> None:
        self._installation = installation
        self._began = monotonic()
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
        # All at once, as if the network had kept it; no two lives sound the same.
        at = str(round((monotonic() - self._began) * 1_000))
        for track, pitch in (("inbound", 3), ("outbound", 5)):
            audio = bytes((place * (pitch + number) // 16) & 0xFF for place in range(_AUDIO_MS * 8))
            media = {"track": track, "timestamp": at, "payload": b64encode(audio).decode()}
            self._send({"event": "media", "media": media})

    @property
    def is_heard(self) -> bool:
        """Whether all that was said is on the service's disk."""
        tracks = list((self._installation.data / "spool" / self.id).glob("*.mulaw"))
        return len(tracks) == 2 and all(track.stat().st_size >= _AUDIO_MS * 8 for track in tracks)

    def moments(self) -> list[str]:
        """Those of this recording, so far."""
        return [
            said
            for moment in self._installation.control.trace()
            if (said := moment.removeprefix(f"{self.id} ")) != moment
        ]

    def hang_up(self) -> None:
        """End the call, and the recording with it."""
        self._send({"event": "stop"})
        self._open.close()

    def break_off(self) -> None:
        """Let go of a call whose server is gone."""
        with suppress(Exception):
            self._open.close()

    def live(self, until_moment: str) -> None:
        """Be ended, finalized, delivered, listened to in another format, deleted and purged; up to a moment."""
        self.hang_up()
        if until_moment.startswith("customer"):
            until(self.heard)
            return
        if self._reaches(until_moment, lambda: DELIVERED in self.moments()):
            return
        listening = self._installation.ask("GET", f"/media/{self.id}?format=wav")
        if self._reaches(until_moment, listening.done):
            return
        assert listening.result() == 200
        query = "mutation M($id: ID!) { deleteRecording(input: {id: $id}) { errors { __typename } } }"
        self._installation.ask("POST", "/graphql", {"query": query, "variables": {"id": self.id}})
        assert self._reaches(until_moment, lambda: PURGED in self.moments())

    def _reaches(self, moment: str, is_over: Callable[[], bool]) -> bool:
        """Whether a moment comes before a part of its life is over, or with its end."""
        until(lambda: moment in self.moments() or is_over(), pause=0.01)
        return moment in self.moments()

    def heard(self) -> list[str]:
        """The ids under which the customer was sent it."""
        requests = [heard for heard in self._installation.customer.heard if heard.path.startswith(self.path)]
        return [heard.headers["Recording-Delivery-Id"] for heard in requests]


class Installation:
    """A service, its customer, and the folder by which its death is planned."""

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
        """Whether it keeps audio in its data folder."""
        return "RECORDINGS_MEDIA" not in self._variables

    @property
    def stream(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}{self._ingest}/ws"

    def with_services(self, work: Callable[[Services], Awaitable[_Found]]) -> _Found:
        """Work on the same data from beside the service."""
        return asyncio.run(self._with(work))

    async def _with(self, work: Callable[[Services], Awaitable[_Found]]) -> _Found:
        given = {name: value for name, value in self._variables.items() if name.startswith("RECORDINGS_")}
        async with open_services(load(given, {"data": str(self.data)})) as services:
            return await work(services)

    def launch(self, hold: Collection[str] = (), places: int = 2) -> None:
        """Start the service, with moments at which it stands still; do not wait for it.

        A step that stands still keeps its place: `places` are how many may do so, and a few more.
        """
        (self._folder / "trace").unlink(missing_ok=True)
        self.control.hold(hold)
        self.server.launch(
            "--audio-workers", str(places), prepare=("tests.faults.killed_process:arm", str(self._folder))
        )

    def start(self, places: int = 2) -> None:
        """Start the service, and wait for it."""
        self.launch(places=places)
        self.server.wait_until_ready()

    def begin(self) -> Life:
        """A recording that is being made."""
        self._count += 1
        return Life(self, self._count)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request that is perhaps never answered; a future of its status."""

        def send() -> int:
            try:
                return self.client.http.request(method, path, json=body).status_code
            except httpx.HTTPError:
                return 0

        return self._threads.submit(send)

    def kill(self) -> None:
        """`kill -9`, and nobody is left of it."""
        assert self.server.process is not None
        family = descendants(self.server.process.pid)
        self.server.kill()
        until(lambda: not family & everybody().keys())

    def close(self) -> None:
        self.server.__exit__()
        self._threads.shutdown()

    def load(self, ids: Sequence[str]) -> list[Recording]:
        """What the metadata say, tombstones too."""

        async def load(services: Services) -> list[Recording]:
            return [found for name in ids if (found := await services.store.load(name))]

        found = self.with_services(load)
        assert len(found) == len(ids)
        return found

    def examine(self, hashes: Collection[str]) -> None:
        """`recordings doctor`, three days later, has nothing to say, and nothing lies about that nobody needs.

        `hashes` are those of the audio that there is now besides all that was there before.
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


def everybody() -> dict[tuple[int, int], int]:
    """All processes that live, by id and the time of their start, and their parents."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                state, parent, *rest = (folder / "stat").read_text().rpartition(") ")[2].split()
                if state not in {"Z", "X"}:
                    found[int(folder.name), int(rest[17])] = int(parent)
    return found


def descendants(pid: int) -> set[tuple[int, int]]:
    """A process, and all that it started."""
    living = everybody()
    family, found = {pid}, set[tuple[int, int]]()
    while more := {each for each, parent in living.items() if each not in found and {each[0], parent} & family}:
        found |= more
        family |= {process for process, _ in more}
    return found
