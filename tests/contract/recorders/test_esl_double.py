"""The double of FreeSWITCH behaves as the captured one: the same commands give the same replies, events and lengths."""

import re
from pathlib import Path

import pytest

from adapters.recorders.freeswitch.esl_protocol import EslProtocol, SwitchEvent
from tests.adapters.recorders.esl_transcript import NAMES, Step, read_transcript
from tests.contract.recorders.esl_double import EslDouble

EVENTS = {"RECORD_START", "RECORD_STOP"}
READ = (
    "Event-Name", "Unique-ID", "Answer-State", "Record-File-Path", "Record-Completion-Cause", "Call-Direction",
    "variable_RECORD_DISCARDED", "variable_record_completion_cause",
)  # fmt: skip
NEEDED = (
    "Core-UUID", "Event-Date-Timestamp", "Event-Sequence", "Channel-State", "Channel-Name", "Caller-Caller-ID-Number",
    "Caller-Caller-ID-Name", "Caller-Destination-Number", "Caller-Channel-Created-Time",
)  # fmt: skip
EPOCH = {"esl_transcript.jsonl": 1795331094.601881, "esl_transcript_prebuf.jsonl": 1795331148.186878}
"""The time of the switch's clock at the beginning of each capture: limits depend on it."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of the double stand still between commands."""
    monkeypatch.setattr("time.monotonic", lambda: 0.0)


class Replay:
    """Sends the commands of a transcript to a double, at the times of the capture."""

    def __init__(self, name: str, folder: Path) -> None:
        self.double = EslDouble(EPOCH[name])
        self.double.calls._emit = self._collect
        self.events: list[SwitchEvent] = []
        self._folder = folder
        self._at = 0.0

    def _collect(self, *event: object) -> None:
        (message,) = EslProtocol().feed(self.double.encode(*event))  # type: ignore[arg-type]
        if isinstance(message, SwitchEvent) and message.name in EVENTS:
            self.events.append(message)

    def _pass_time(self, step: Step) -> None:
        self.double.calls.advance(max(0.0, step.at - self._at))
        self._at = max(self._at, step.at)

    def answer(self, step: Step) -> None:
        self._pass_time(step)
        for name in [each.uuid for each in self.double.calls.channels.values() if not each.answered]:
            self.double.calls.answer(name)

    def ask(self, step: Step) -> str:
        self._pass_time(step)
        verb, _, rest = step.command.partition(" ")
        assert verb in {"api", "bgapi"}
        return self.double.execute(rest.replace("/var/spool/rec", str(self._folder)))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_commands_have_the_same_replies_and_events(name: str, tmp_path: Path, commands: None) -> None:
    replay = Replay(name, tmp_path)
    captured: list[dict[str, str]] = []
    for step in read_transcript(name):
        if step.name in EVENTS:
            captured.append(step.headers)
        elif step.name == "CHANNEL_ANSWER":
            replay.answer(step)
        elif step.command.startswith(("api", "bgapi")):
            reply = replay.ask(step)
            if step.command.startswith("api create_uuid"):
                assert re.fullmatch(r"[0-9a-f-]{36}", reply)
            elif step.command.startswith("api"):
                assert reply == step.reply
    assert len(replay.events) == len(captured)
    for event, wanted in zip(replay.events, captured, strict=True):
        _same(event, wanted, tmp_path)


def _same(event: SwitchEvent, wanted: dict[str, str], folder: Path) -> None:
    own = [header for header in wanted if header.startswith("Recording-Variable-")]
    for header in (*READ, *own):
        assert event.get(header).replace(str(folder), "/var/spool/rec") == wanted.get(header, ""), (header, wanted)
    assert [header for header in event.headers if header.startswith("Recording-Variable-")] == own
    for header in NEEDED:
        assert event.get(header)
        assert header in wanted
    if event.name == "RECORD_STOP" and "record_ms" in str(wanted):
        assert int(event.variable("record_ms") or 0) == pytest.approx(int(wanted["variable_record_ms"]), abs=70)
