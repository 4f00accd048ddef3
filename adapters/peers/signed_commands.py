"""Commands between servers: a verb and a recording, in a signed token.

A token is valid once, on one server, for a few seconds. It is the whole request: neither the path nor a body adds
anything, so nothing else needs a signature.
"""

import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt
import msgspec

from recordings.model.instants import CLOCK_TOLERANCE, SECOND
from recordings.ports.clock import Clock
from recordings.rules.signing_keys import SigningKeys

PATH: Final = "/internal/commands"
"""The path for commands, below a server's URL."""
ALGORITHM: Final = "HS256"
SECONDS: Final = 10
"""The validity of a command."""
LEEWAY: Final = CLOCK_TOLERANCE // SECOND
"""Seconds by which the clocks of two servers may differ."""
MAX_REMEMBERED: Final = 100_000
"""The maximum number of remembered commands. While it is reached, new commands are rejected."""
_CLAIMS: Final = ["iat", "exp", "aud", "jti", "verb", "recording_id"]


class Verb(StrEnum):
    """The actions on a take."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    MASK = "mask"
    UNMASK = "unmask"
    YIELD_CALL = "yield_call"
    """End a call that came back on the sender, unless it still sends audio. The command names a call."""


@dataclass(frozen=True, slots=True)
class Command:
    """One action on the take of a recording."""

    verb: Verb
    recording_id: str


class CommandResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The response to an executed command. All times are in milliseconds.

    `armed` or `begun` is the instant of a start. `at_ms` is the offset of a pause or a mask in the audio, `length_ms`
    the length of one that ended. `has_call` says that a call was not yielded.
    """

    armed: int | None = None
    begun: int | None = None
    at_ms: int = 0
    length_ms: int | None = None
    has_call: bool = False


class ErrorDetail(msgspec.Struct):
    """The part of an error response that the client reads."""

    message: str


class ErrorBody(msgspec.Struct):
    """The body of an error response, as `adapters.http.error_body` writes it."""

    error: ErrorDetail


class InvalidCommandError(Exception):
    """The token is not a valid command of this installation for this server, or it is a repeated command."""


class CommandSigner:
    """Signs commands and verifies them. `keys` are derived for this purpose only. `node` is this server."""

    def __init__(self, keys: bytes | SigningKeys, node: str, clock: Clock) -> None:
        self._keys = SigningKeys.of(keys)
        self.node = node
        self._clock = clock
        self._verified: OrderedDict[str, int] = OrderedDict()

    def sign(self, command: Command, node: str) -> str:
        """Return a token for a command to another server, named by its node."""
        now = self._clock.now() // SECOND
        claims = {
            "iat": now,
            "exp": now + SECONDS,
            "aud": node,
            "jti": secrets.token_hex(16),
            "verb": command.verb.value,
            "recording_id": command.recording_id,
        }
        return jwt.encode(claims, self._keys.signing.secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Command:
        """Return the command of a token.

        Raises:
            InvalidCommandError: the token is not valid, or it was used before.
        """
        try:
            claims = self._claims(token)
            command = Command(Verb(claims["verb"]), str(claims["recording_id"]))
        except (jwt.ImmatureSignatureError, jwt.ExpiredSignatureError) as error:
            # The signature is valid, so the sender has the key of this installation.
            raise InvalidCommandError(_clock_error(token, self._clock.now() // SECOND)) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidCommandError("not a valid command for this server") from error
        self._remember(claims)
        return command

    def _claims(self, token: str) -> dict[str, Any]:
        for key in self._keys.accepted:
            # Another server may sign with another key for some seconds, while the key is rotated.
            with suppress(jwt.InvalidSignatureError):
                return jwt.decode(
                    token,
                    key.secret,
                    algorithms=[ALGORITHM],
                    audience=self.node,
                    leeway=LEEWAY,
                    options={"require": _CLAIMS},
                )
        raise InvalidCommandError("not a valid command for this server")

    def _remember(self, claims: dict[str, Any]) -> None:
        # An attacker who recorded the traffic cannot repeat a command.
        now = self._clock.now() // SECOND
        while self._verified and next(iter(self._verified.values())) < now:
            self._verified.popitem(last=False)
        if claims["jti"] in self._verified:
            raise InvalidCommandError("this command was already used")
        if len(self._verified) >= MAX_REMEMBERED:
            raise InvalidCommandError("too many commands at once: try again later")
        self._verified[claims["jti"]] = now + SECONDS + 2 * LEEWAY


def audience_of(token: str) -> str:
    """Return the node that a token is for. The token is not verified: only that node can do it."""
    with suppress(jwt.PyJWTError):
        node = jwt.decode(token, options={"verify_signature": False}).get("aud")
        return node if isinstance(node, str) else ""
    return ""


def _clock_error(token: str, now: int) -> str:
    issued = jwt.decode(token, options={"verify_signature": False}).get("iat")
    if not isinstance(issued, int):
        return "not a valid command for this server"
    return f"the clocks of the two servers differ by {abs(now - issued)} s, or the command was delayed"


def call_reference(account_id: str, call_id: str) -> str:
    """Return the text that a `YIELD_CALL` command has in the place of a recording's id."""
    return f"{account_id}/{call_id}"
