"""What one server may ask of another: a verb and a recording, in a signed text that holds once, there, for seconds.

A command is all of a request: nothing beside it (a path, a body) decides anything, so nothing else has to be signed.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt
import msgspec

from recordings.model.instants import SECOND
from recordings.ports.process import Clock

PATH: Final = "/internal/commands"
"""Where a server takes commands, below its URL."""
ALGORITHM: Final = "HS256"
SECONDS: Final = 10
"""How long a command holds."""
LEEWAY: Final = 30
"""Seconds by which the clocks of two servers may differ."""
MAX_KNOWN: Final = 100_000
"""Commands that are remembered for as long as they hold; no more are taken in that time."""
_CLAIMS: Final = ["iat", "exp", "aud", "jti", "verb", "recording_id"]


class Verb(StrEnum):
    """What can be done to a take."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    MASK = "mask"
    UNMASK = "unmask"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to be done to the take of a recording."""

    verb: Verb
    recording_id: str


class Done(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a server answers when it did it: all times in milliseconds.

    `armed` or `begun` is the instant of a start's outcome, `at_ms` the offset of a pause or a mask in the audio.
    """

    armed: int | None = None
    begun: int | None = None
    at_ms: int = 0


class ErrorDetail(msgspec.Struct):
    """The part of an error response that the caller needs."""

    message: str


class ErrorBody(msgspec.Struct):
    """The body of an error response, as `adapters.http.error_body` writes it."""

    error: ErrorDetail


class Forged(Exception):  # noqa: N818 - an answer
    """What came is no command of this installation's for this server, is over, or came before."""


class Commands:
    """Signs commands and reads them back. `key` is derived for this purpose alone; `node` is this server."""

    def __init__(self, key: bytes, node: str, clock: Clock) -> None:
        self._key = key
        self._node = node
        self._clock = clock
        self._known: OrderedDict[str, int] = OrderedDict()

    def sign(self, command: Command, node: str) -> str:
        """A command for the server that is a node."""
        now = self._clock.now() // SECOND
        claims = {
            "iat": now,
            "exp": now + SECONDS,
            "aud": node,
            "jti": secrets.token_hex(16),
            "verb": command.verb.value,
            "recording_id": command.recording_id,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def read(self, text: str) -> Command:
        """The command that a text holds.

        Raises:
            Forged: it holds none, or none that may be obeyed (any more).
        """
        try:
            claims = jwt.decode(
                text,
                self._key,
                algorithms=[ALGORITHM],
                audience=self._node,
                leeway=LEEWAY,
                options={"require": _CLAIMS},
            )
            command = Command(Verb(claims["verb"]), str(claims["recording_id"]))
        except (jwt.PyJWTError, ValueError) as error:
            raise Forged("no command of ours") from error
        self._note(claims)
        return command

    def _note(self, claims: dict[str, Any]) -> None:
        # Whoever listens on the way cannot send it again: a pause of a minute ago is no pause of now.
        now = self._clock.now() // SECOND
        while self._known and next(iter(self._known.values())) < now:
            self._known.popitem(last=False)
        if claims["jti"] in self._known or len(self._known) >= MAX_KNOWN:
            raise Forged("this command came before")
        self._known[claims["jti"]] = now + SECONDS + 2 * LEEWAY
