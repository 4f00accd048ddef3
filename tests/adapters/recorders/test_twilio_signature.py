"""The signature of Twilio's handshake: without the right one, no stream begins."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from adapters.recorders.dialects.twilio_signature import fault, signature
from adapters.recorders.embedded import StreamSignatures
from recordings.ports.sealer import CannotUnsealError
from recordings.use_cases.access_control import TTL
from tests.adapters.recorders.parts import ACCOUNT, ADDRESS, SECRET, World, world
from tests.adapters.recorders.senders import base64_credentials

TOKEN = "0123456789abcdef0123456789abcdef"
HOST = "wss://recordings.example.org"
PATH = "/ingest/aa/bb/ws"
PUBLIC = "https://recordings.example.org/calls"
FIRST = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # Made by Twilio's own library, version 9.13.0.
        (f"{HOST}{PATH}", "vkyGGQZ6Gb/cJHhTo956qI3eULg="),
        (f"{HOST}{PATH}/", "/95ZICFCbjIuIL49ELKvdfYHPcQ="),
        (f"{HOST}:8443{PATH}", "imZJvBJto1VaHFRuBYVVPCc6/lQ="),
        (f"https{HOST[3:]}{PATH}?dialect=twilio", "BO4pEqkh7pf8F7LYBT+ZXpchv3w="),
    ],
)
def test_the_signature_is_that_of_twilio(url: str, expected: str) -> None:
    assert signature(url, TOKEN) == expected


@pytest.mark.parametrize(
    "signed",
    [
        f"{HOST}{PATH}",
        f"{HOST}:443{PATH}",
        f"{HOST}{PATH}/",
        f"https{HOST[3:]}{PATH}",
    ],
)
def test_every_form_of_the_url_is_accepted(signed: str) -> None:
    for bases in ([HOST], ["wss://10.0.0.5:8000", HOST], [f"{HOST}:443"], [f"{HOST}/"]):
        for tokens in ([TOKEN], ["other", TOKEN]):
            assert fault({"x-twilio-signature": signature(signed, TOKEN)}, bases, PATH, tokens) is None


@pytest.mark.parametrize(
    ("signed", "token"),
    [
        (f"{HOST}{PATH}", "other"),
        (f"{HOST}.evil.example{PATH}", TOKEN),
        (f"{HOST}/ingest/aa/cc/ws", TOKEN),
        (f"{HOST}{PATH}?x=1", TOKEN),
        (f"{HOST}:8443{PATH}", TOKEN),
        ("", TOKEN),
    ],
)
def test_the_signature_of_another_url_or_token_is_wrong(signed: str, token: str) -> None:
    found = fault({"x-twilio-signature": signature(signed, token)}, [HOST], PATH, [TOKEN])
    assert found is not None
    assert "is wrong" in found
    assert TOKEN not in found


def test_a_missing_signature_is_named() -> None:
    for headers in ({}, {"x-twilio-signature": ""}, {"x-twilio-signature": " "}):
        assert "is missing" in str(fault(headers, [HOST], PATH, [TOKEN]))
    assert "is wrong" in str(fault({"x-twilio-signature": "ä"}, [HOST], PATH, [TOKEN]))


async def tokens(account_id: str, address: str) -> Sequence[str]:
    assert (account_id, address) == (ACCOUNT, ADDRESS)
    return ["newer", TOKEN]


async def refusal(here: World, headers: dict[str, str], url: str | None = None) -> str:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url or here.ws, additional_headers=headers, proxy=None):
            pass
    assert refused.value.response.status_code == 401
    return refused.value.response.body.decode()


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def accept(here: World, headers: dict[str, str], url: str | None = None) -> None:
    async with connect(url or here.ws, additional_headers=headers, proxy=None) as socket:
        await socket.send(FIRST)


async def test_a_stream_without_the_right_signature_is_refused_before_it_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path, twilio_tokens=tokens) as here:
        before = files(tmp_path)
        with caplog.at_level(logging.WARNING):
            bodies = [
                await refusal(here, {}),
                await refusal(here, {"X-Twilio-Signature": signature(here.ws, "wrong")}),
                await refusal(here, {"X-Twilio-Signature": signature(f"{here.ws}/x", TOKEN)}),
            ]
        assert files(tmp_path) == before
        assert (await here.all(), here.recorder.live_calls()) == ([], [])
        for text in (*bodies, caplog.text):
            assert SECRET not in text
            assert TOKEN not in text
            assert signature(here.ws, TOKEN) not in text
        assert len([line for line in caplog.records if line.getMessage().startswith("stream refused")]) == 3


async def test_a_signed_stream_is_accepted(tmp_path: Path) -> None:
    async with world(tmp_path, twilio_tokens=tokens) as here:
        secure = here.ws.replace("ws://", "wss://", 1)
        for url in (here.ws, secure, f"{secure}/"):
            for token in (TOKEN, "newer"):
                await accept(here, {"X-Twilio-Signature": signature(url, token)})
        # A file is not a stream: its address is enough.
        async with httpx.AsyncClient() as client:
            assert (await client.put(f"{here.http}?call_id=x", content=b"x" * 2_000)).status_code == 201


async def test_behind_a_proxy_the_public_url_counts(tmp_path: Path) -> None:
    async with world(tmp_path, twilio_tokens=tokens, public_url=PUBLIC) as here:
        path = here.ws.partition("/ingest")[2]
        await accept(here, {"X-Twilio-Signature": signature(f"wss{PUBLIC[5:]}/ingest{path}", TOKEN)})
        await refusal(here, {"X-Twilio-Signature": signature(f"wss://evil.example/ingest{path}", TOKEN)})


async def test_an_address_in_basic_authentication_is_checked_too(tmp_path: Path) -> None:
    async with world(tmp_path, twilio_tokens=tokens) as here:
        url, basic = f"ws://127.0.0.1:{here.port}/ingest/ws", base64_credentials(ADDRESS, SECRET)
        await refusal(here, basic, url)
        for signed in (url, url.replace("://", f"://{ADDRESS}:{SECRET}@")):
            await accept(here, basic | {"X-Twilio-Signature": signature(signed, TOKEN)}, url)


async def test_without_an_auth_token_no_signature_is_needed(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await accept(here, {})
        await accept(here, {"X-Twilio-Signature": "of another system"})


async def test_a_token_that_cannot_be_read_refuses_the_stream(tmp_path: Path) -> None:
    async def broken(_account_id: str, _address: str) -> Sequence[str]:
        raise CannotUnsealError("the key x is lost")

    async with world(tmp_path, twilio_tokens=broken) as here:
        assert "cannot be checked" in await refusal(here, {"X-Twilio-Signature": signature(here.ws, TOKEN)})


async def test_a_new_auth_token_applies_within_seconds_and_is_read_once_until_then(tmp_path: Path) -> None:
    asked: list[str] = []
    valid = [TOKEN]

    async def changing(_account_id: str, address: str) -> Sequence[str]:
        asked.append(address)
        return list(valid)

    now = [0.0]
    async with world(tmp_path) as here:
        signatures = StreamSignatures(here.clock, changing, seconds=lambda: now[0])
        for _ in range(3):
            assert await signatures._tokens(ACCOUNT, ADDRESS) == [TOKEN]
        valid[:] = ["newer"]
        now[0] += TTL
        assert await signatures._tokens(ACCOUNT, ADDRESS) == ["newer"]
    assert (len(asked), TTL < 5) == (2, True)
