"""The calls and recordings of the double of FreeSWITCH, with the traps of a real one (release 1.10.12)."""

import time
import uuid
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FRAME = 0.02
LEFT, RIGHT = 440, 1_000
"""The tones (Hz) that a channel's own party hears and says: the read and the write side."""


@dataclass
class Recording:
    """A media bug of a channel that records into a file."""

    path: Path
    begun: float
    limit: int
    variables: Mapping[str, str]
    stretches: list[tuple[float, str]] = field(default_factory=list)
    """When it was paused, resumed, masked and unmasked."""
    is_moved: bool = False
    """A transfer moved it: its new channel does not find it by its path."""

    @property
    def limit_at(self) -> float:
        """When its limit ends it: FreeSWITCH compares whole seconds of the clock."""
        return float("inf") if self.limit <= 0 else float(int(self.begun) + self.limit)

    def is_set(self, name: str) -> bool:
        return self.variables.get(name, "").lower() == "true"

    def samples(self, answered: float, now: float) -> list[bool]:
        """Return a value for each recorded frame: true if it is audible, false if it is masked."""
        frames: list[bool] = []
        paused = masked = False
        changes = [*self.stretches, (now, "")]
        at = max(self.begun, answered) if self.is_set("RECORD_ANSWER_REQ") else self.begun
        for until, change in changes:
            if not paused:
                frames += [not masked] * round((until - at) / FRAME)
            at = until
            paused = change == "pause" or (paused and change != "resume")
            masked = change == "mask" or (masked and change != "unmask")
        # Frames in the pre-buffer are lost at the end.
        return frames[: max(0, len(frames) - (int(self.variables.get("RECORD_PRE_BUFFER_FRAMES", "25")) - 1) - 1)]


@dataclass
class DoubleChannel:
    uuid: str
    created: float
    direction: str = "inbound"
    answered: float = 0.0
    bridged: str = ""
    originator: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)
    is_ending: bool = False
    is_ringing: bool = False
    """Whether it has no early media before the answer."""

    @property
    def answer_state(self) -> str:
        if self.is_ending:
            return "hangup"
        waiting = "ringing" if self.is_ringing else "early"
        return "answered" if self.answered else waiting


Emit = Callable[[str, DoubleChannel, Mapping[str, str]], None]


class DoubleCalls:
    """The core of the switch. Its clock can be advanced, so that recordings become long in no time."""

    rate = 8_000

    def __init__(self, emit: Emit, epoch: float | None = None) -> None:
        self.channels: dict[str, DoubleChannel] = {}
        self.core_uuid = str(uuid.uuid4())
        self.pre_answered: set[str] = set()
        """Channels that a recording answered early."""
        self.moved_from: set[tuple[str, str]] = set()
        """Recordings that left a channel, which still replies that it stops them."""
        self.no_record_start = False
        self.no_audio = False
        self._emit = emit
        self._skipped = 0.0
        self._zero = time.monotonic()
        self._epoch = time.time() if epoch is None else epoch
        self.started = self.now()

    def now(self) -> float:
        """Return the time by the clock of the switch, in seconds."""
        return self._epoch + self._skipped + time.monotonic() - self._zero

    def advance(self, seconds: float) -> None:
        """Let time pass, with audio of all calls."""
        target = self.now() + seconds
        due = [(each.limit_at, channel, each) for channel, each in self.all_recordings() if each.limit_at <= target]
        for at, channel, each in sorted(due, key=lambda item: item[0]):
            self._skipped += max(0.0, at + 0.006 - self.now())
            self.end(channel, each, "success-maxtime")
        self._skipped += max(0.0, target - self.now())

    def all_recordings(self) -> Iterator[tuple[DoubleChannel, Recording]]:
        for channel in tuple(self.channels.values()):
            for each in tuple(channel.recordings.values()):
                yield channel, each

    # Calls

    def ring(self, name: str, *, answered: bool = True, quiet: bool = False, **given: Any) -> DoubleChannel:
        """Begin a call. A quiet one has no events, as if the switch had dropped them."""
        channel = self.channels[name] = DoubleChannel(name, self.now(), **given)
        if not quiet:
            self._emit("CHANNEL_CREATE", channel, {})
        if answered:
            self.answer(name, quiet=quiet)
        return channel

    def answer(self, name: str, *, quiet: bool = False) -> None:
        channel = self.channels[name]
        channel.answered = self.now()
        if not quiet:
            self._emit("CHANNEL_ANSWER", channel, {})

    def bridge(self, first: str, second: str) -> None:
        for one, other in ((first, second), (second, first)):
            self.channels[one].bridged = other
            self.channels[one].variables["bridge_uuid"] = other
        pair = {"Bridge-A-Unique-ID": first, "Bridge-B-Unique-ID": second, "Other-Leg-Unique-ID": second}
        self._emit("CHANNEL_BRIDGE", self.channels[first], pair)

    def hang_up(self, name: str, *, quiet: bool = False) -> None:
        channel = self.channels.get(name)
        if channel is None:
            return
        channel.is_ending = True
        for each in tuple(channel.recordings.values()):
            self.end(channel, each, "success-silence", quiet=quiet)
        if not quiet:
            self._emit("CHANNEL_HANGUP_COMPLETE", channel, {})
        self.channels.pop(name, None)

    def transfer(self, name: str) -> None:
        """Transfer the other party of a channel: recordings that follow transfers move there, and the channel ends."""
        channel = self.channels[name]
        if channel.variables.get("recording_follow_transfer") == "true":
            self.move_recordings(name)
        self.channels[channel.bridged].bridged = ""
        self.hang_up(name)

    def move_recordings(self, name: str) -> None:
        """Move the recordings to the other leg, as an attended transfer does when it begins."""
        channel = self.channels[name]
        for each in channel.recordings.values():
            each.is_moved = True
        self.channels[channel.bridged].recordings.update(channel.recordings)
        self.moved_from.update((name, path) for path in channel.recordings)
        channel.recordings.clear()

    def crash(self) -> None:
        """End the process: all calls end without an event, and their files keep what was written."""
        for channel, each in tuple(self.all_recordings()):
            self._write(channel, each)
        self.channels.clear()

    def restart(self) -> None:
        self.core_uuid = str(uuid.uuid4())
        self.started = self.now()

    # Recordings

    def record(self, channel: DoubleChannel, path: str, limit: int, variables: Mapping[str, str]) -> str:
        if path in channel.recordings:
            return "+OK Success\n"
        file = Path(path)
        if channel.answer_state == "ringing":
            self.pre_answered.add(channel.uuid)
        if not file.parent.is_dir() or file.suffix != ".wav":
            channel.variables["record_completion_cause"] = "uri-failure"
            return "-ERR Cannot record session!\n"
        each = channel.recordings[path] = Recording(file, self.now(), limit, variables)
        file.write_bytes(b"")
        if not self.no_record_start:
            self._emit("RECORD_START", channel, _about(each))
        return "+OK Success\n"

    def change(self, channel: DoubleChannel, path: str, action: str) -> str:
        each = channel.recordings.get(path)
        if each is None or each.is_moved:
            return f"-ERR Cannot {action} recording session!\n"
        each.stretches.append((self.now(), action))
        return "+OK Success\n"

    def stop(self, channel: DoubleChannel, path: str) -> str:
        if (channel.uuid, path) in self.moved_from:
            return "+OK Success\n"
        has_path = path in channel.recordings and not channel.recordings[path].is_moved
        found = list(channel.recordings) if path == "all" else [path] if has_path else []
        for each in found:
            self.end(channel, channel.recordings[each], "success-maxtime")
        return "+OK Success\n" if found else "-ERR Cannot stop record session!\n"

    def end(self, channel: DoubleChannel, each: Recording, cause: str, *, quiet: bool = False) -> None:
        channel.recordings.pop(str(each.path))
        frames = self._write(channel, each)
        rate = int(each.variables.get("record_sample_rate", self.rate))
        # Samples at the rate of the call are compared with seconds at the rate of the file.
        minimum = int(each.variables.get("RECORD_MIN_SEC", channel.variables.get("RECORD_MIN_SEC", "0"))) * rate
        if not frames:
            cause = "empty-file"
        elif frames * FRAME * self.rate < minimum and not each.is_set("RECORD_APPEND"):
            cause = "input-too-short"
        values = channel.variables
        if cause in {"empty-file", "input-too-short"}:
            each.path.unlink()
            values["RECORD_DISCARDED"] = "true"
        values["record_ms"] = str(round(frames * FRAME * 1_000))
        values["record_seconds"] = str(int(frames * FRAME))
        values["record_samples"] = str(round(frames * FRAME * self.rate))
        values["record_completion_cause"] = cause
        if not quiet:
            self._emit("RECORD_STOP", channel, {**_about(each), "Record-Completion-Cause": cause})

    def _write(self, channel: DoubleChannel, each: Recording) -> int:
        frames = [] if self.no_audio else each.samples(channel.answered, self.now())
        rate = int(each.variables.get("record_sample_rate", self.rate))
        loud = np.repeat(np.array(frames, bool), round(FRAME * rate))
        times = np.arange(len(loud)) / rate
        sides = [np.where(loud, 12_000 * np.sin(2 * np.pi * hertz * times), 0) for hertz in (LEFT, RIGHT)]
        if each.is_set("RECORD_STEREO_SWAP"):
            sides.reverse()
        stereo = each.is_set("RECORD_STEREO")
        samples = np.stack(sides, axis=1) if stereo else sum(sides) / 2
        with wave.open(str(each.path), "wb") as file:
            file.setparams((2 if stereo else 1, 2, rate, 0, "NONE", ""))
            file.writeframes(np.round(samples).astype("<i2").tobytes())
        return len(frames)


def _about(each: Recording) -> Mapping[str, str]:
    own = {f"Recording-Variable-{name}": value for name, value in each.variables.items()}
    return {"Record-File-Path": str(each.path), **own}
