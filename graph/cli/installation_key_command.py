"""`recordings key …-installation`: rotate, show, drop and adopt the installation's keys."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from graph.cli.shared_options import (
    STORAGE,
    check_exists,
    confirm,
    print_json,
    setting_options,
    settings_from,
    yes_option,
)
from graph.server import log_setup as logs
from graph.server.key_watch import INTERVAL
from graph.server.request_origin import begin_command
from graph.server.system_clock import SystemClock
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.instants import to_iso
from recordings.ports.peers import PeerStore

if TYPE_CHECKING:
    from adapters.identity import InstallationKey
    from graph.settings import Settings
    from recordings.model.installation import Installation
    from recordings.ports.audit import Audit
    from recordings.ports.recording_store import MetadataStore

_WAIT_SECONDS: Final = 6.0
"""The time in which running servers must have read a changed key file."""
_POLL_SECONDS: Final = 0.2
_MARGIN_SECONDS: Final = 0.5


@click.command("rotate-installation")
@setting_options(STORAGE)
def rotate_installation(options: Mapping[str, str | None]) -> None:
    """Replace the installation's key: sign with a new key, and accept signatures of older keys.

    The command adds a key to the key file. When all running servers have read it, they sign with it. No restart is
    needed. Servers whose key file is a copy need the changed file: copy it to them, and run this command again. It
    continues with the same key.

    The command prints one line for each key. Older keys stay in the file until `key drop-installation`.
    """
    _run(options, _rotate)


@click.command("show-installation")
@setting_options(STORAGE)
def show_installation(options: Mapping[str, str | None]) -> None:
    """Print one line for each key in the installation's key file, the oldest first: its id, and whether it signs."""
    _run(options, _show)


@click.command("drop-installation")
@click.argument("id")
@yes_option
@setting_options(STORAGE)
def drop_installation(id: str, yes: bool, options: Mapping[str, str | None]) -> None:
    """Remove the key with this ID from the installation's key file. Running servers forget it within five seconds.

    Tokens, signed URLs and cursors that this key signed are rejected from then on. The signing key cannot be dropped.
    Run the command for each copy of the key file.
    """
    _run(options, lambda opened: _drop(opened, id, yes=yes))


@click.command("adopt-installation")
@yes_option
@setting_options(STORAGE)
def adopt_installation(yes: bool, options: Mapping[str, str | None]) -> None:
    """Let the metadata store belong to this key file, because its own key is lost.

    All tokens, signed URLs and cursors that the lost key signed are rejected. Servers with other key files no longer
    start.
    """
    _run(options, lambda opened: _adopt(opened, yes=yes))


@dataclass(frozen=True, slots=True)
class _Opened:
    """The parts that these commands need. A command that adopts a key cannot open the others."""

    settings: "Settings"
    store: "MetadataStore"
    audit: "Audit"

    async def note(self, key_id: str, change: str) -> None:
        """Write an audit entry, before a change."""
        await self.audit.record(None, AuditAction.KEY, AuditObject("installation_key", key_id), change=change)


def _run(options: Mapping[str, str | None], work: Callable[[_Opened], Awaitable[None]]) -> None:
    from adapters.identity import SecretFileError
    from graph.open_parts import CannotOpenError, open_audit, open_metadata

    settings = settings_from(options)
    check_exists(settings)
    logs.configure(settings.log_format, "warning")

    async def run() -> None:
        begin_command()
        async with open_metadata(settings, create=False) as store, open_audit(settings, store) as audit:
            await work(_Opened(settings, store, audit))

    try:
        asyncio.run(run())
    except (SecretFileError, CannotOpenError) as error:
        raise click.ClickException(str(error)) from error


async def _rotate(opened: _Opened) -> None:
    from adapters.identity.key_rotation import add_key
    from graph.open_parts import open_key

    key = await open_key(opened.settings, opened.store)
    signing = key.signing_id
    new = await asyncio.to_thread(add_key, key.path, signing)
    lacking = await _servers_without(new, opened.store)
    if not lacking:
        await opened.note(new, "signs")
        await opened.store.claim_key(new, SystemClock().now(), instead_of=signing)
    key.reload()
    _print(key, await opened.store.installation())
    if lacking:
        message = (
            f"the new key {new} is in {key.path}, but does not sign yet: these servers do not have it: "
            f"{', '.join(sorted(lacking))}. Copy the file to them, and run this command again"
        )
        raise click.ClickException(message)


async def _servers_without(key_id: str, store: "MetadataStore") -> Collection[str]:
    """Wait until all running servers have a key. Return the names of the servers without it."""
    if not isinstance(store, PeerStore):
        # If a server runs on this data folder, it reads the file within this time.
        await asyncio.sleep(INTERVAL + _MARGIN_SECONDS)
        return ()
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        servers = [server.peer for server in await store.servers() if server.is_alive]
        lacking = [peer.node for peer in servers if key_id not in peer.keys]
        if not lacking or time.monotonic() > end:
            return lacking
        await asyncio.sleep(_POLL_SECONDS)


async def _show(opened: _Opened) -> None:
    from graph.open_parts import open_key

    _print(await open_key(opened.settings, opened.store), await opened.store.installation())


async def _drop(opened: _Opened, key_id: str, *, yes: bool) -> None:
    from adapters.identity.key_rotation import drop_key
    from graph.open_parts import open_key, secret_sealer
    from recordings.use_cases.account_secrets import encrypt_again

    key = await open_key(opened.settings, opened.store)
    if key_id not in key.ids:
        raise click.ClickException(f"{key.path} has no key {key_id!r}: its keys are {', '.join(key.ids)}")
    if key_id == key.signing_id:
        raise click.ClickException(f"the key {key_id} signs now: run `recordings key rotate-installation` first")
    since = (await opened.store.installation()).key_since
    confirm(
        f"Tokens, signed URLs and cursors that the key {key_id} signed are rejected from now on, even if they have "
        f"not expired. The present key signs since {'?' if since is None else to_iso(since)}.",
        yes=yes,
    )
    await opened.note(key_id, "dropped")
    # Stored secrets of accounts must not depend on the old key.
    await encrypt_again(opened.store, secret_sealer(key))
    await asyncio.to_thread(drop_key, key.path, key_id)
    key.reload()
    _print(key, await opened.store.installation())


async def _adopt(opened: _Opened, *, yes: bool) -> None:
    from adapters.identity import InstallationKey
    from graph.open_parts import key_path

    before = await opened.store.installation()
    owner = "no key yet" if before.key_id is None else f"the key {before.key_id}"
    confirm(
        f"The metadata store belongs to {owner}. From now on it belongs to the newest key of "
        f"{key_path(opened.settings)}. Tokens, signed URLs and cursors of other keys are rejected, and servers without "
        "this key do not start.",
        yes=yes,
    )
    key = await asyncio.to_thread(InstallationKey.open, key_path(opened.settings))
    await opened.note(key.ids[-1], "adopted")
    after = await opened.store.claim_key(key.ids[-1], SystemClock().now(), instead_of=before.key_id)
    key.sign_with(str(after.key_id))
    _print(key, after)


def _print(key: "InstallationKey", installation: "Installation") -> None:
    for key_id in key.ids:
        signs = key_id == installation.key_id
        since = to_iso(installation.key_since) if signs and installation.key_since is not None else None
        print_json({"id": key_id, "signs": signs, "since": since})
