"""Signed commands: whoever has not the key, is not meant, comes late or comes twice is not obeyed."""

import jwt
import pytest

from adapters.peers.signed_commands import LEEWAY, SECONDS, Command, Commands, Forged, Verb
from graph.server.system_clock import SystemClock
from recordings.model.instants import SECOND
from tests.support.fake_clock import StillClock

KEY, NODE = bytes(range(32)), "n" * 32
STOP = Command(Verb.STOP, "202611-" + "0" * 32)


def commands(key: bytes = KEY, node: str = NODE, ahead: int = 0) -> Commands:
    """Those of a server whose clock is so many seconds ahead."""
    return Commands(key, node, StillClock(SystemClock().now() + ahead * SECOND))


def claims(**others: object) -> dict[str, object]:
    """Those of a command that would be obeyed."""
    now = SystemClock().now() // SECOND
    return {"iat": now, "exp": now + 5, "aud": NODE, "jti": "1", "verb": "stop", "recording_id": "x"} | others


@pytest.mark.parametrize("verb", Verb)
def test_what_was_signed_is_read(verb: Verb) -> None:
    command = Command(verb, "any thing/\U0001f600")
    assert commands().read(commands(node="sender").sign(command, NODE)) == command


def test_a_command_holds_once_and_at_one_server() -> None:
    one, other = commands(), commands(node="other")
    text = one.sign(STOP, NODE)
    with pytest.raises(Forged):
        other.read(text)
    assert one.read(text) == STOP
    with pytest.raises(Forged, match="came before"):
        one.read(text)
    assert one.read(one.sign(STOP, NODE)) == STOP


@pytest.mark.parametrize("ahead", [LEEWAY - 5, 0, -LEEWAY - SECONDS + 5])
def test_clocks_may_differ_a_little(ahead: int) -> None:
    assert commands().read(commands(ahead=ahead).sign(STOP, NODE)) == STOP


@pytest.mark.parametrize("ahead", [LEEWAY + 60, -LEEWAY - SECONDS - 1])
def test_what_is_over_or_to_come_is_not_obeyed(ahead: int) -> None:
    with pytest.raises(Forged):
        commands().read(commands(ahead=ahead).sign(STOP, NODE))


def test_who_has_another_key_is_nobody() -> None:
    with pytest.raises(Forged):
        commands().read(commands(key=bytes(32)).sign(STOP, NODE))


@pytest.mark.parametrize("name", ["iat", "exp", "aud", "jti", "verb", "recording_id"])
def test_nothing_may_be_missing(name: str) -> None:
    reader, given = commands(), claims(jti="2")
    assert reader.read(jwt.encode(claims(), KEY, "HS256")) == Command(Verb.STOP, "x")
    del given[name]
    with pytest.raises(Forged):
        reader.read(jwt.encode(given, KEY, "HS256"))


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
def test_what_is_no_command_is_not_obeyed(text: str) -> None:
    with pytest.raises(Forged):
        commands().read(text)


def test_what_is_over_is_forgotten_and_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.peers.signed_commands.MAX_KNOWN", 3)
    clock = StillClock(SystemClock().now())
    reader, sender = Commands(KEY, NODE, clock), commands()
    for _ in range(3):
        reader.read(sender.sign(STOP, NODE))
    with pytest.raises(Forged):
        reader.read(sender.sign(STOP, NODE))
    clock.move((SECONDS + 2 * LEEWAY + 1) * SECOND)
    assert reader.read(sender.sign(STOP, NODE)) == STOP
