"""`recordings ingest`: make, list and revoke the addresses at which switches hand in audio."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from graph.cli.shared_options import STORAGE, account_option, put_out, setting_options, with_services
from recordings.model.account import IngestAddress
from recordings.model.instants import to_iso

if TYPE_CHECKING:
    from graph.services import Services


@click.group()
def ingest() -> None:
    """Make, list and revoke ingest addresses: URLs to which a switch sends audio, and which allow nothing else."""


@ingest.command()
@account_option
@setting_options((*STORAGE, "host", "port", "public_url"))
def create(account_id: str, options: Mapping[str, str | None]) -> None:
    """Make an ingest address. Its URL is shown this once: only the hash of the secret in it is kept.

    PUT or POST finished recordings to it with ?call_id=ID at its end, or give it to Kazoo as the `url` of a
    recording; open a WebSocket on it with /ws at its end to send the audio of a live call, in the protocol of Twilio
    Media Streams.
    """
    _create(options, account_id)


@ingest.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the ingest addresses of an account, revoked ones too."""
    _list(options, account_id)


@ingest.command()
@click.argument("id")
@setting_options(STORAGE)
def revoke(id: str, options: Mapping[str, str | None]) -> None:
    """Revoke the ingest address with this ID.

    A running server refuses it within five seconds, and ends the streams that came in by it within twenty.
    """
    _revoke(options, id)


@with_services
async def _create(services: "Services", account_id: str) -> None:
    made = await services.administration.create_ingest(account_id)
    url = f"{services.settings.address}/ingest/{made.address.id}/{made.secret}"
    put_out({"url": url, "websocket": f"{url.replace('http', 'ws', 1)}/ws", **_shown(made.address)})


@with_services
async def _list(services: "Services", account_id: str) -> None:
    for found in await services.administration.ingest_addresses(account_id):
        put_out(_shown(found))


@with_services
async def _revoke(services: "Services", address_id: str) -> None:
    await services.administration.revoke_ingest(address_id)
    put_out({"id": address_id, "revoked": True})


def _shown(found: IngestAddress) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "account": found.account_id,
        "created": to_iso(found.created),
        "revoked": None if found.revoked is None else to_iso(found.revoked),
    }
