"""Captured traffic of a FreeSWITCH 1.10.12, and its bytes as they were on the wire."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "captured"
NAMES: Final = ("esl_transcript.jsonl", "esl_transcript_prebuf.jsonl")


@dataclass(frozen=True)
class Step:
    """A command with its reply, or an event. `at` is in seconds since the capture began."""

    at: float
    command: str = ""
    reply: str = ""
    is_api: bool = False
    name: str = ""
    event: str | None = None
    """The text of an event; `None` if only its name was captured."""

    @property
    def wire(self) -> bytes:
        if self.command and self.is_api:
            body = self.reply.encode()
            return b"Content-Type: api/response\nContent-Length: %d\n\n%b" % (len(body), body)
        if self.command:
            return f"Content-Type: command/reply\nReply-Text: {self.reply}\n\n".encode()
        body = (self.event or f"Event-Name: {self.name}\n\n").encode()
        return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(body), body)

    @property
    def headers(self) -> dict[str, str]:
        lines = (line.partition(": ") for line in (self.event or "").splitlines() if line)
        return {name: value for name, _, value in lines}


def read_transcript(name: str) -> list[Step]:
    return [_step(json.loads(line)) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def _step(found: dict[str, Any]) -> Step:
    if found["kind"] == "event":
        return Step(found["t"], name=found["name"], event=found["raw_header"])
    reply = found["reply"]
    is_api = reply["Content-Type"] == "api/response"
    return Step(found["t"], found["cmd"], reply["_body"] if is_api else reply["Reply-Text"], is_api)
