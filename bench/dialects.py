"""Measure the CPU time that a second of audio takes in each dialect, from the message to the file.

    python -m bench.dialects [--seconds 60]

All dialects run in one process and in turns, and each is compared with Twilio in the same run. The time includes the
decoder, the positions and the write to the spool, and no network. A stereo dialect has the two tracks of Twilio.
"""

import argparse
import asyncio
import base64
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console
from rich.table import Table

from adapters.recorders.dialects.detect import AnyStream, Handshake
from adapters.recorders.dialects.stream_events import Audio, Event, StreamStarted
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.embedded.arrival_clock import ArrivalClock
from adapters.recorders.embedded.live_call import LiveCall
from adapters.spool import FolderSpool
from recordings.model.call import Call
from recordings.model.options import RecordingOptions
from recordings.ports.recorder import Take

ACCOUNT: Final = "a" * 32
FRAMES: Final = 50
"""Frames in a second."""
SOUND: Final = bytes(range(256)) * 10
MEDIA: Final = base64.b64encode(SOUND[:160]).decode()
LINEAR: Final = base64.b64encode(SOUND[:320]).decode()


def json_start(**start: object) -> str:
    return json.dumps({"event": "start", "start": start})


def both(number: int, payload: str) -> list[str]:
    """Return the messages of both tracks in a frame of 20 ms."""
    media = {"chunk": str(number), "timestamp": str(20 * number), "payload": payload}
    return [json.dumps({"event": "media", "media": {"track": track} | media}) for track in ("inbound", "outbound")]


TELNYX = {"call_control_id": "c", "media_format": {"encoding": "PCMA", "sample_rate": 8000}}
PLIVO = {"streamId": "s", "callId": "c", "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 8000}}
EXOTEL = {"stream_sid": "s", "call_sid": "c", "account_sid": "a"}
JAMBONZ = {"callSid": "c", "sampleRate": 8000, "mixType": "stereo"}
AUDIOHOOK = {
    "conversationId": "c",
    "media": [{"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}],
}
OPEN = {"version": "2", "type": "open", "id": "s", "seq": 1, "serverseq": 0, "parameters": AUDIOHOOK}
STARTS: Final[Mapping[str, tuple[str, Handshake]]] = {
    "twilio": (json_start(streamSid="s", callSid="c"), Handshake()),
    "telnyx": (json_start(**TELNYX), Handshake()),
    "plivo": (json_start(**PLIVO), Handshake()),
    "exotel": (json_start(**EXOTEL), Handshake()),
    "vonage": ('{"event":"websocket:connected","content-type":"audio/l16;rate=16000","call_id":"c"}', Handshake()),
    "jambonz": (json.dumps(JAMBONZ), Handshake()),
    "freeswitch": ("{}", Handshake({"rate": "8000", "channels": "2", "call_id": "c"})),
    "asterisk": ("MEDIA_START channel_id:c format:slin16", Handshake()),
    "audiohook": (json.dumps(OPEN), Handshake()),
}


def frame(name: str, number: int) -> Sequence[str | bytes]:
    """Return the messages of 20 ms. AudioHook has one message for ten frames."""
    if name in {"twilio", "telnyx"}:
        return both(number, MEDIA)
    if name in {"plivo", "exotel"}:
        return both(number, LINEAR)[: 1 if name == "exotel" else 2]
    if name == "audiohook":
        return [SOUND + SOUND[:640]] if number % 10 == 0 else []
    return [SOUND[:640]]


class Clock:
    def now(self) -> int:
        return 0


class Sender:
    """A live call in one dialect, with an open take."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.spool = FolderSpool(root / name)
        limits = Limits(max_lead=float("inf"))
        self.recorder = EmbeddedRecorder(spool=self.spool, clock=Clock(), limits=limits)
        start, handshake = STARTS[name]
        self.stream = AnyStream(handshake)
        self.first = self.stream.receive(start)
        self.live: LiveCall | None = None
        self.arrivals: ArrivalClock | None = None
        self.now, self.sent, self.seconds = 0.0, 0, 0.0

    async def open(self) -> None:
        await self._open(next(event.format for event in self.first if isinstance(event, StreamStarted)))

    async def _open(self, format: StreamFormat) -> None:
        call = Call(account_id=ACCOUNT, call_id="c", started=0)
        self.live = self.recorder.open_call(call, lambda _end: None, format)
        self.arrivals = ArrivalClock(format)
        take = Take(f"202611-{0:032x}", ACCOUNT, "c", RecordingOptions(time_limit=10_800))
        await self.recorder.start(take)

    def play(self) -> None:
        """Receive a second of audio, and add the CPU time."""
        messages = [message for number in range(FRAMES) for message in frame(self.name, self.sent + number)]
        self.sent += FRAMES
        began = time.process_time()
        for message in messages:
            self._record(self.stream.receive(message))
        self.seconds += time.process_time() - began

    def _record(self, events: Sequence[Event]) -> None:
        audios = [event for event in events if isinstance(event, Audio)]
        if self.live is None or self.arrivals is None or not audios:
            return
        if audios[0].at_ms is None:
            self.now += 0.02
            audios = list(self.arrivals.place(audios, self.now))
        for audio in audios:
            self.recorder.receive_audio(self.live, audio)


async def measure(seconds: int) -> Mapping[str, float]:
    """Return the CPU microseconds for a second of audio, by dialect."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory() as folder:
        senders = [Sender(name, Path(folder)) for name in STARTS]
        for sender in senders:
            await sender.open()
        # In turns, so that a slow moment of the machine affects all of them.
        for sender in islice(cycle(senders), seconds * len(senders)):
            sender.play()
        for sender in senders:
            await sender.recorder.close()
    return {sender.name: sender.seconds / seconds * 1e6 for sender in senders}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    found = asyncio.run(measure(parser.parse_args().seconds))
    table = Table("dialect", "CPU µs for a second of audio", "of Twilio")
    for name, microseconds in found.items():
        table.add_row(name, f"{microseconds:.0f}", f"{microseconds / found['twilio']:.2f}")
    mean = sum(found.values()) / len(found)
    table.add_row("mix of all", f"{mean:.0f}", f"{mean / found['twilio']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
