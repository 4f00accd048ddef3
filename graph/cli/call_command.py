"""`recordings call`: make a call that can be recorded, without a telephone."""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.shared_options import STORAGE, integer, print_json, setting_options, with_services
from graph.settings import is_base_url

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from graph.services import Services

_PARTIES: Final = {
    "from": "+14155550123",
    "to": "1001",
    "caller_id_name": "Maya Ortiz",
    "caller_id_number": "+14155550123",
    "callee_id_name": "Front desk",
    "callee_id_number": "1001",
    "direction": "inbound",
    "network": "offnet",
}


@click.command()
@click.option(
    "--seconds",
    type=integer(1, 3_600),
    default=60,
    show_default=True,
    metavar="NUMBER",
    help="The length of the call, in seconds. Ctrl-C ends it earlier.",
)
@click.option("--account", "account_id", metavar="ID", help="The account of the call. [default: the demo account]")
@click.option(
    "--url", metavar="URL", help="The base URL of the server. [default: the public URL, or else host and port]"
)
@setting_options((*STORAGE, "host", "port", "public_url"))
def call(seconds: int, account_id: str | None, url: str | None, options: Mapping[str, str | None]) -> None:
    """Make a demo call to a running server.

    Two synthetic voices talk in real time. The command prints the call's id when the call starts. To record the call,
    use the mutation startRecording, or set a policy before the call: recordings policy set.
    """
    if url is not None and not is_base_url(url):
        allowed = "a URL that begins with http:// or https://, without user, query or fragment"
        raise click.UsageError(f"--url must be {allowed}, not {url!r}")
    with suppress(KeyboardInterrupt):
        _call(options, seconds, account_id, url)


@with_services
async def _call(services: "Services", seconds: int, account_id: str | None, url: str | None) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    from graph.demo.demo_account import DEMO_ACCOUNT, call_address

    account = await services.store.account(account_id or DEMO_ACCOUNT)
    if account is None:
        missing = f"there is no account {account_id!r}" if account_id else "there is no demo account"
        message = (
            f"{missing}: start the server with --demo, or give an id from `recordings account list` with --account"
        )
        raise click.ClickException(message)
    server = (url or services.settings.address).rstrip("/")
    address = f"{server.replace('http', 'ws', 1)}{await call_address(services, account)}/ws"
    call_id = f"call-{secrets.token_hex(8)}"
    try:
        async with connect(address, compression=None, proxy=None) as connection:
            await _send_start(connection, call_id)
            print_json({"callId": call_id, "accountId": account.id, "seconds": seconds})
            await _send_audio(connection, seconds)
    except (OSError, WebSocketException) as error:
        # The error's text is left out: it contains the address with its secret.
        message = f"the call to {server} failed ({type(error).__name__}): is `recordings serve` running there?"
        raise click.ClickException(message) from error


async def _send_start(connection: "ClientConnection", call_id: str) -> None:
    await _send(connection, {"event": "connected", "protocol": "Call", "version": "1.0.0"})
    start = {
        "streamSid": call_id,
        "callSid": call_id,
        "accountSid": "demo",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
        "customParameters": _PARTIES,
    }
    await _send(connection, {"event": "start", "sequenceNumber": "1", "streamSid": call_id, "start": start})


async def _send_audio(connection: "ClientConnection", seconds: int) -> None:
    try:
        async for message in _frames(seconds):
            await _send(connection, message)
    finally:
        # Sent on Ctrl-C, too: the server then knows that the call ended and was not cut off.
        await _send(connection, {"event": "stop"})


async def _frames(seconds: int) -> AsyncIterator[Mapping[str, Any]]:
    from graph.demo.voices import FRAME_MS, voices

    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, sides in enumerate(islice(voices(), seconds * 1_000 // FRAME_MS)):
        at_ms = number * FRAME_MS
        await asyncio.sleep(began + at_ms / 1_000 - loop.time())
        for track, audio in zip(("inbound", "outbound"), sides, strict=True):
            media = {"track": track, "timestamp": str(at_ms), "payload": b64encode(audio).decode()}
            yield {"event": "media", "media": media}


async def _send(connection: "ClientConnection", message: Mapping[str, Any]) -> None:
    await connection.send(json.dumps(message))
