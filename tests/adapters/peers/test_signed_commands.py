"""Signed commands: a command with another key or another node, a late one and a repeated one are rejected."""

import jwt
import pytest

from adapters.peers.signed_commands import LEEWAY, SECONDS, Command, CommandSigner, InvalidCommandError, Verb
from graph.server.system_clock import SystemClock
from recordings.model.instants import SECOND
from tests.support.fake_clock import FakeClock

KEY, NODE = bytes(range(32)), "n" * 32
STOP = Command(Verb.STOP, "202611-" + "0" * 32)


def signer(key: bytes = KEY, node: str = NODE, ahead: int = 0) -> CommandSigner:
    """Return the signer of a server. Its clock is `ahead` seconds fast."""
    return CommandSigner(key, node, FakeClock(SystemClock().now() + ahead * SECOND))


def claims(**others: object) -> dict[str, object]:
    """Return the claims of a valid command."""
    now = SystemClock().now() // SECOND
    return {"iat": now, "exp": now + 5, "aud": NODE, "jti": "1", "verb": "stop", "recording_id": "x"} | others


@pytest.mark.parametrize("verb", Verb)
def test_a_signed_command_is_verified(verb: Verb) -> None:
    command = Command(verb, "any thing/\U0001f600")
    assert signer().verify(signer(node="sender").sign(command, NODE)) == command


def test_a_command_is_valid_once_and_on_one_server() -> None:
    one, other = signer(), signer(node="other")
    text = one.sign(STOP, NODE)
    with pytest.raises(InvalidCommandError):
        other.verify(text)
    assert one.verify(text) == STOP
    with pytest.raises(InvalidCommandError, match="already used"):
        one.verify(text)
    assert one.verify(one.sign(STOP, NODE)) == STOP


@pytest.mark.parametrize("ahead", [LEEWAY - 5, 0, -LEEWAY - SECONDS + 5])
def test_the_clocks_of_two_servers_may_differ_slightly(ahead: int) -> None:
    assert signer().verify(signer(ahead=ahead).sign(STOP, NODE)) == STOP


@pytest.mark.parametrize("ahead", [LEEWAY + 60, -LEEWAY - SECONDS - 1])
def test_an_expired_or_future_command_is_rejected(ahead: int) -> None:
    with pytest.raises(InvalidCommandError):
        signer().verify(signer(ahead=ahead).sign(STOP, NODE))


def test_a_command_with_another_key_is_rejected() -> None:
    with pytest.raises(InvalidCommandError):
        signer().verify(signer(key=bytes(32)).sign(STOP, NODE))


@pytest.mark.parametrize("name", ["iat", "exp", "aud", "jti", "verb", "recording_id"])
def test_a_command_without_a_claim_is_rejected(name: str) -> None:
    reader, values = signer(), claims(jti="2")
    assert reader.verify(jwt.encode(claims(), KEY, "HS256")) == Command(Verb.STOP, "x")
    del values[name]
    with pytest.raises(InvalidCommandError):
        reader.verify(jwt.encode(values, KEY, "HS256"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("x", id="a letter"),
        pytest.param("..", id="three empty parts"),
        pytest.param("a.b.c", id="three parts"),
        pytest.param("\xff\u20ac", id="no ASCII"),
        pytest.param("eyJ" * 5_000, id="too long"),
        pytest.param(jwt.encode(claims(), "", "none"), id="not signed"),
        pytest.param(jwt.encode(claims(verb="delete"), KEY, "HS256"), id="another verb"),
        pytest.param(jwt.encode(claims(), KEY + KEY, "HS512"), id="another algorithm"),
    ],
)
def test_an_invalid_token_is_rejected(text: str) -> None:
    with pytest.raises(InvalidCommandError):
        signer().verify(text)


def test_the_memory_of_commands_is_bounded_and_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.signed_commands.MAX_REMEMBERED", 3)
    clock = FakeClock(SystemClock().now())
    reader, sender = CommandSigner(KEY, NODE, clock), signer()
    for _ in range(3):
        reader.verify(sender.sign(STOP, NODE))
    with pytest.raises(InvalidCommandError):
        reader.verify(sender.sign(STOP, NODE))
    clock.move((SECONDS + 2 * LEEWAY + 1) * SECOND)
    assert reader.verify(sender.sign(STOP, NODE)) == STOP
