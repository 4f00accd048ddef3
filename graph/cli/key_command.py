"""`recordings key`: create, list and revoke API keys, and rotate the installation's key."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from graph.cli.installation_key_command import (
    adopt_installation,
    drop_installation,
    rotate_installation,
    show_installation,
)
from graph.cli.shared_options import (
    STORAGE,
    account_option,
    owner_option,
    print_json,
    scope_option,
    scopes_of,
    setting_options,
    warn_of_user_name,
    with_services,
)
from recordings.model.account import ApiKey, Scope
from recordings.model.instants import to_iso

if TYPE_CHECKING:
    from graph.services import Services


@click.group()
def key() -> None:
    """Create, list and revoke API keys. A key works until it is revoked. Clients send it in the header X-Auth-Token.

    The commands that end in -installation are for the installation's own key, which signs tokens and media URLs.
    """


for _command in (rotate_installation, show_installation, drop_installation, adopt_installation):
    key.add_command(_command)


@key.command()
@account_option
@owner_option
@scope_option
@setting_options(STORAGE)
def create(account_id: str, owner_id: str | None, scopes: tuple[str, ...], options: Mapping[str, str | None]) -> None:
    """Create an API key. It is shown only now, because only its hash is stored."""
    _create(options, account_id, owner_id, scopes_of(scopes))


@key.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the API keys of an account, including revoked keys."""
    _list(options, account_id)


@key.command()
@click.argument("id")
@setting_options(STORAGE)
def revoke(id: str, options: Mapping[str, str | None]) -> None:
    """Revoke the API key with this ID. Running servers reject it, and the tokens made from it, within five seconds."""
    _revoke(options, id)


@with_services
async def _create(services: "Services", account_id: str, owner_id: str | None, scopes: frozenset[Scope]) -> None:
    created = await services.accounts.create_key(account_id, owner_id, scopes)
    await warn_of_user_name(services, account_id, owner_id)
    print_json({"key": created.secret, **_as_json(created.key)})


@with_services
async def _list(services: "Services", account_id: str) -> None:
    async for found in await services.accounts.keys(account_id):
        print_json(_as_json(found))


@with_services
async def _revoke(services: "Services", key_id: str) -> None:
    await services.accounts.revoke_key(key_id)
    print_json({"id": key_id, "revoked": True})


def _as_json(found: ApiKey) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "account": found.account_id,
        "owner": found.owner_id,
        "scopes": [scope.value for scope in found.scopes],
        "created": to_iso(found.created),
        "revoked": None if found.revoked is None else to_iso(found.revoked),
    }
