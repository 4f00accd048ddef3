"""`recordings ingest`: create, list and revoke the addresses to which switches send audio."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from graph.cli.shared_options import STORAGE, account_option, print_json, setting_options, with_services
from recordings.model.account import IngestAddress
from recordings.model.instants import to_iso

if TYPE_CHECKING:
    from graph.services import Services


@click.group()
def ingest() -> None:
    """Create, list and revoke ingest addresses. An ingest address is a URL that only allows a switch to send audio."""


@ingest.command()
@account_option
@click.option("--record-all", is_flag=True, help="Record every call whose audio arrives at this address.")
@setting_options((*STORAGE, "host", "port", "public_url"))
def create(account_id: str, record_all: bool, options: Mapping[str, str | None]) -> None:
    """Create an ingest address. Its URL is shown only now, because only a hash of its secret is stored.

    To send a finished recording, append ?call_id=ID and use PUT or POST, or give the URL to Kazoo as the `url` of a
    recording. To send the audio of a live call, append /ws, open a WebSocket, and use the protocol of Twilio Media
    Streams.
    """
    _create(options, account_id, record_all)


@ingest.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the ingest addresses of an account, including revoked addresses."""
    _list(options, account_id)


@ingest.command()
@click.argument("id")
@setting_options(STORAGE)
def revoke(id: str, options: Mapping[str, str | None]) -> None:
    """Revoke the ingest address with this ID.

    Running servers reject it within five seconds, and end its open streams within twenty seconds.
    """
    _revoke(options, id)


@with_services
async def _create(services: "Services", account_id: str, record_all: bool) -> None:
    created = await services.accounts.create_ingest(account_id, record_all=record_all)
    url = f"{services.settings.address}/ingest/{created.address.id}/{created.secret}"
    print_json({"url": url, "websocket": f"{url.replace('http', 'ws', 1)}/ws", **_as_json(created.address)})


@with_services
async def _list(services: "Services", account_id: str) -> None:
    async for found in await services.accounts.ingest_addresses(account_id):
        print_json(_as_json(found))


@with_services
async def _revoke(services: "Services", address_id: str) -> None:
    await services.accounts.revoke_ingest(address_id)
    print_json({"id": address_id, "revoked": True})


def _as_json(found: IngestAddress) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "account": found.account_id,
        "created": to_iso(found.created),
        "record_all": found.record_all,
        "revoked": None if found.revoked is None else to_iso(found.revoked),
    }
