"""FreeSWITCH as a plant of the contract tests: the double, and a real one at `RECORDER_ESL_URL`."""

import asyncio
import io
import os
import shutil
import tempfile
import wave
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np

from adapters.recorders.freeswitch.esl_connection import EslConnection
from adapters.recorders.open_switch import open_switch
from adapters.recorders.switch_url import parse_switch_url
from graph.server.system_clock import SystemClock
from recordings.model.instants import SECOND, Millis
from recordings.ports.recorder import SwitchRecorder, SwitchState, Take
from tests.contract.recorders.esl_double import PASSWORD, EslDouble
from tests.contract.recorders.plants import ACCOUNT, NAME, SwitchPlant
from tests.contract.recorders.relay import Relay
from tests.servers.tcp_server import HOST

OTHER_ACCOUNT = "b" * 32
ESL_URL = os.environ.get("RECORDER_ESL_URL", "")
ATTEMPTS = 150

CALLS = (
    ("loopback/tone/default", "&park()"),
    ("loopback/9197/default", "&park()"),
    ("null/test", "&endless_playback(tone_stream://%(1000,0,440);loops=-1)"),
)
"""Calls that need no telephony: an extension that answers and plays a tone, or none.

The first one is that of the captured traffic, and the second one is in FreeSWITCH's default configuration.
"""


class ShiftedClock(SystemClock):
    """A clock that a test can advance."""

    shift = 0

    def now(self) -> Millis:
        return super().now() + self.shift


class EslPlant(SwitchPlant):
    """A plant with a recorder of FreeSWITCH."""

    name = NAME

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.folder = root / "freeswitch"
        self.clock = ShiftedClock()

    @abstractmethod
    def url(self) -> str:
        """Return the URL of the switch in the settings."""

    @abstractmethod
    async def close(self) -> None: ...

    def recorder_of(self, text: str) -> SwitchRecorder:
        return open_switch(parse_switch_url(text), spool=self.spool, clock=self.clock)

    async def connect(self, takes: Sequence[Take] = ()) -> SwitchRecorder:
        switch = self.recorder_of(self.url())
        self._running = asyncio.create_task(switch.run(takes))
        await wait_for_state(switch, SwitchState.READY)
        return switch

    async def disconnect(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.disconnect()
        await self.close()

    async def restart_recorder(self, takes: Sequence[Take]) -> None:
        await self.disconnect()
        self.recorder = await self.connect(takes)

    def files(self) -> int:
        return len(list(self.folder.iterdir()))


@dataclass(frozen=True)
class Sound:
    """Decoded audio: its length, its rate, and its samples with a column for each channel."""

    rate: int
    samples: "np.ndarray[tuple[int, int], np.dtype[np.float64]]"

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def pitch(self, side: int) -> int:
        """Return the loudest frequency (Hz) of a channel."""
        spectrum = np.abs(np.fft.rfft(self.samples[:, side]))
        return round(int(spectrum.argmax()) * self.rate / len(self.samples))


def read_sound(data: bytes) -> Sound:
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return Sound(file.getframerate(), samples.astype(float))


class EslDoublePlant(EslPlant):
    async def open(self) -> SwitchRecorder:
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        self.double = EslDouble()
        await self.double.start()
        return await self.connect()

    def url(self) -> str:
        secret = quote(PASSWORD, safe="")
        return f"esl://:{secret}@{HOST}:{self.double.port}?name={NAME}&account={ACCOUNT}&folder={self.folder}"

    async def close(self) -> None:
        await self.double.stop()

    async def ring(self, call_id: str) -> None:
        self.double.calls.ring(call_id)

    async def hang_up(self, call_id: str) -> None:
        self.double.calls.hang_up(call_id)

    async def audio(self, call_id: str) -> None:
        self.double.calls.advance(0.5)

    async def lose_connection(self) -> None:
        self.double.drop()

    def pass_time(self, seconds: float) -> None:
        """Advance the clocks of the switch and of this service."""
        self.clock.shift += round(seconds * SECOND)
        self.double.calls.advance(seconds)

    @property
    def bugs(self) -> int:
        """The number of recordings in progress on the switch."""
        return len(list(self.double.calls.all_recordings()))

    def commands(self, beginning: str) -> list[str]:
        """Return the API commands that the switch got, and that begin with a text."""
        return [each for each in self.double.commands if each.startswith(f"api {beginning}")]

    async def heard(self, take: Take) -> "Sound":
        """Return the audio of a take in the spool."""
        spooled = await self.spool.audio(take.recording_id)
        assert spooled is not None
        return read_sound(await asyncio.to_thread(Path(spooled.tracks[0].path).read_bytes))


class RealEslPlant(EslPlant):
    """A real FreeSWITCH, with the calls of `originate`.

    `RECORDER_ESL_URL` is like a URL of the settings; its name and accounts do not matter. Without `folder`, a folder in
    `/tmp` is used, which FreeSWITCH must be able to reach. `RECORDER_ESL_ENDPOINT` is an endpoint that answers. Two
    accounts and a variable of the channel keep other calls of the switch out of the tests.
    """

    def __init__(self, root: Path, url: str = ESL_URL) -> None:
        super().__init__(root)
        self._given = url

    async def open(self) -> SwitchRecorder:
        parts = urlsplit(self._given)
        options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self._made = "" if options.get("folder") else tempfile.mkdtemp(prefix="recordings-")
        self.folder = Path(options.get("folder") or self._made)
        if self._made:
            self.folder.chmod(0o777)
        self._there = options.get("switch_folder") or str(self.folder)
        self._before = set(self.folder.iterdir())
        self._secrets = parts.netloc.rpartition("@")[0] or ":ClueCon"
        address = f"{self._secrets}@{parts.netloc.rpartition('@')[2]}"
        settings = parse_switch_url(f"esl://{address}?name=real&account={ACCOUNT}&folder={self.folder}")
        host, port = settings.host, settings.port
        self._control = await EslConnection.open(host, port, settings.user, settings.secret)
        self._reading = asyncio.create_task(self._control.read(lambda _event: None))
        self._uuids: list[str] = []
        self._call = await self._find_call()
        self._relay = Relay(host, port)
        await self._relay.start()
        return await self.connect()

    def url(self) -> str:
        accounts = f"account={ACCOUNT}&account={OTHER_ACCOUNT}"
        folders = f"folder={self.folder}&switch_folder={self._there}"
        return f"esl://{self._secrets}@{HOST}:{self._relay.port}?name={NAME}&{accounts}&{folders}"

    async def close(self) -> None:
        for each in self._uuids:
            await self._control.ask("uuid_kill", each)
            async with asyncio.timeout(10):
                while await self._control.ask("uuid_exists", each) != "false":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._relay.stop()
        for path in set(self.folder.iterdir()) - self._before:
            path.unlink()
        if self._made:
            await asyncio.to_thread(shutil.rmtree, self._made)

    async def _find_call(self) -> tuple[str, str]:
        """Return the first call that the switch can make. Each attempt needs a new UUID: a failed one ends it."""
        given = os.environ.get("RECORDER_ESL_ENDPOINT")
        failed = []
        for endpoint, application in ((given, "&park()"),) if given else CALLS:
            uuid = await self._control.ask("create_uuid")
            reply = await self._originate(uuid, endpoint, application)
            if reply.startswith("+OK"):
                await self._control.ask("uuid_kill", uuid)
                return endpoint, application
            failed.append(f"{endpoint}: {reply}")
        raise AssertionError(f"FreeSWITCH makes no call, set RECORDER_ESL_ENDPOINT: {'; '.join(failed)}")

    async def _originate(self, uuid: str, endpoint: str, application: str, more: str = "") -> str:
        variables = f"{{origination_uuid={uuid},originate_timeout=5{more}}}"
        return await self._control.ask("originate", variables + endpoint, application)

    async def ring(self, call_id: str) -> None:
        if await self._control.ask("uuid_exists", call_id) == "true":
            return
        self._uuids.append(call_id)
        reply = ""
        # A switch limits the calls per second.
        for _ in range(ATTEMPTS):
            reply = await self._originate(call_id, *self._call, more=f",recordings_account={ACCOUNT}")
            if reply.startswith("+OK"):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"FreeSWITCH makes no call to {self._call[0]}: {reply}")

    async def hang_up(self, call_id: str) -> None:
        await self._control.ask("uuid_kill", call_id)

    async def audio(self, call_id: str) -> None:
        # The switch has no event for it.
        await asyncio.sleep(0.3)

    def files(self) -> int:
        return len(set(self.folder.iterdir()) - self._before)

    async def lose_connection(self) -> None:
        await self._relay.cut()


async def wait_for_state(switch: SwitchRecorder, state: SwitchState) -> None:
    try:
        async with asyncio.timeout(20):
            while switch.state is not state:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"the switch {switch.name} is {switch.state}, expected: {state}") from None
