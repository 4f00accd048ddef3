"""`recordings node`: list the servers of an installation, and forget a server that does not return."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from graph.cli.shared_options import STORAGE, print_json, setting_options, with_services
from recordings.model.errors import Refused
from recordings.model.instants import SECOND

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.servers import Servers, ServerState

_ONE_SERVER: Final = "an installation with SQLite has one server only: set --mongodb for several"


@click.group()
def node() -> None:
    """List the servers that share a MongoDB, and forget servers that do not return."""


@node.command("list")
@setting_options(STORAGE)
def list_(options: Mapping[str, str | None]) -> None:
    """List the servers, with one line for each.

    `lease_seconds` is the time until the lease of a running server ends. It is negative if the server is not running.
    `clock_difference_seconds` is the server's clock minus the clock of MongoDB.
    """
    _list(options)


@node.command()
@click.argument("name")
@setting_options(STORAGE)
def forget(name: str, options: Mapping[str, str | None]) -> None:
    """Forget a server that does not return.

    NAME is the server's name in `node list`. The recordings that the server has not finished become LOST, and their
    calls can be recorded again. One line for each shows its id. If the server returns with its data folder, it
    finalizes these recordings. A running server is not forgotten.
    """
    _forget(options, name)


@with_services
async def _list(services: "Services") -> None:
    for state in await _servers(services).all():
        print_json(_as_json(state))


@with_services
async def _forget(services: "Services", name: str) -> None:
    try:
        lost = await _servers(services).forget(name)
    except Refused as refused:
        raise click.ClickException(refused.message) from refused
    for recording in lost:
        print_json({"recording": recording.id, "call": recording.call_id, "state": recording.state.value})


def _servers(services: "Services") -> "Servers":
    if services.servers is None:
        raise click.ClickException(_ONE_SERVER)
    return services.servers


def _as_json(state: "ServerState") -> Mapping[str, str | float | int | bool | None]:
    peer, lease = state.server.peer, state.server.lease
    return {
        "name": peer.node,
        "address": peer.url or None,
        "version": peer.version or None,
        "running": state.server.is_alive,
        "lease_seconds": round(lease / SECOND, 1),
        "calls": state.calls,
        "clock_difference_seconds": round(peer.clock_difference / SECOND, 1),
    }
