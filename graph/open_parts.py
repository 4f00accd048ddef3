"""Open the parts of an installation that have a connection, a process or a folder, and close them at the end."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from adapters.audio import AudioWorkers, Renditions
from adapters.delivery import HttpWebhookSender, UrlCourier, full_prefixes
from adapters.identity import InstallationKey, SealedSecrets
from adapters.media import MediaRouter, open_media_store
from adapters.metadata.sqlite import PeerFile, SqliteStore
from adapters.net import Guard
from graph.media_options import MediaOptions, MediaOptionsError, read_media_options
from graph.server.audit_queue import AuditQueue
from graph.server.audit_trail import AuditTrail
from graph.server.disk_reserve import DiskReserve
from graph.server.log_setup import scrub
from graph.server.node_id import read_node_id
from graph.server.request_origin import current_origin
from graph.server.step_runner import SHARES
from graph.server.system_clock import SystemClock
from graph.settings import Settings
from graph.store_error_text import store_error_text
from recordings.model.audit_entry import Way
from recordings.model.installation import Installation
from recordings.model.work import Work
from recordings.ports.copied_store import CopiedStore, CopyError
from recordings.ports.peers import PeerStore
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.account_secrets import AccountSecrets

if TYPE_CHECKING:
    from adapters.identity.jwks_issuer import Issuer
    from adapters.peers import PeerClient

MIB: Final = 1 << 20
_SPARE_WORKERS = 2
"""One more process for short files, and one for an account that has no long file in the others."""
_MAX_DRIVER_MESSAGE: Final = 300
"""Characters of a driver's error message that are shown: a driver may describe its whole cluster."""
DELIVERY_FOLDER: Final = "delivery"
_RENDITIONS: Final = "renditions"
PEERS_FILE: Final = "peers.sqlite3"
"""The file of the workers of a server with SQLite."""


class CannotOpenError(Exception):
    """A part of the installation cannot be opened. The message names the part and the reason."""


@dataclass(frozen=True, slots=True)
class OpenParts:
    """The parts that must be opened, or that need more than a setting."""

    key: InstallationKey
    node: str
    store: MetadataStore
    peer_store: PeerStore | None
    peers: "PeerClient | None"
    media: MediaRouter
    courier: UrlCourier
    webhook_sender: HttpWebhookSender
    allowed_urls: tuple[str, ...]
    audio_workers: AudioWorkers
    renditions: Renditions
    issuer: "Issuer | None"
    audit: AuditTrail
    secrets: AccountSecrets


@asynccontextmanager
async def open_parts(settings: Settings, *, create: bool = True) -> AsyncIterator[OpenParts]:
    """Open the parts of an installation, and close them at the end.

    Raises:
        SecretFileError: the key file cannot be used.
        CannotOpenError: the data folder cannot be used, a store is unreachable, or a setting is invalid.
    """
    try:
        node = read_node_id(settings.own_data)
    except ValueError as error:
        raise CannotOpenError(str(error)) from error
    async with AsyncExitStack() as exit_stack:
        store = await exit_stack.enter_async_context(open_metadata(settings, create=create))
        key = await open_key(settings, store)
        await asyncio.to_thread(DiskReserve(settings.data).make)
        guard, options = _guard(settings), _media_options(settings)
        peer_store = await exit_stack.enter_async_context(_open_peer_store(settings, store))
        peers = _peer_client(settings, peer_store, key, node)
        if peers is not None:
            exit_stack.push_async_callback(peers.close)
        media = _media_router(settings, guard, options, store)
        exit_stack.push_async_callback(media.close)
        allowed_urls = _delivery_urls(settings)
        audit = await exit_stack.enter_async_context(open_audit(settings, store, node))
        secrets = AccountSecrets(store, secret_sealer(key), audit)
        courier = UrlCourier(
            media.read,
            guard,
            settings.own_data / DELIVERY_FOLDER,
            prefixes=allowed_urls,
            options=options,
            signing_keys=secrets.signing_keys,
        )
        exit_stack.push_async_callback(courier.close)
        webhook_sender = HttpWebhookSender(guard)
        exit_stack.push_async_callback(webhook_sender.close)
        audio_workers = AudioWorkers(
            settings.own_data / "work",
            workers=settings.audio_workers + _SPARE_WORKERS,
            waiting=SHARES[Work.FINALIZE].slots,
        )
        exit_stack.push_async_callback(audio_workers.close)
        renditions = _renditions(settings, media, exit_stack)
        issuer = _issuer(settings)
        if issuer is not None:
            exit_stack.push_async_callback(issuer.close)
        yield OpenParts(
            key,
            node,
            store,
            peer_store,
            peers,
            media,
            courier,
            webhook_sender,
            allowed_urls,
            audio_workers,
            renditions,
            issuer,
            audit,
            secrets,
        )


def check_settings(settings: Settings) -> None:
    """Check the settings that `open_parts` uses, without a connection. Raises `CannotOpenError`."""
    _guard(settings)
    _delivery_urls(settings)
    try:
        open_media_store(settings.media, settings.data, options_by_url=_media_options(settings))
    except (ValueError, ImportError) as error:
        raise CannotOpenError(f"the media store cannot be opened: {error}") from error
    if settings.mongodb is not None:
        from adapters.metadata.mongodb import WrongUriError, check_uri

        try:
            check_uri(settings.mongodb)
        except WrongUriError as error:
            raise _wrong_uri(error) from error


@asynccontextmanager
async def open_audit(settings: Settings, store: MetadataStore, node: str | None = None) -> AsyncIterator[AuditTrail]:
    """Open the audit trail, and write at the end what was counted. By default, the node is that of the data folder."""
    clock, writer = SystemClock(), writer_of(node or read_node_id(settings.own_data))
    trail = AuditTrail(AuditQueue(store, clock, writer, strict=settings.audit == "strict"), clock)
    try:
        yield trail
    finally:
        await trail.close()


def writer_of(node: str) -> str:
    """Return the writer of audit entries: the server of a node and the commands beside it have chains of their own."""
    return f"{node}-cli" if current_origin().way is Way.CLI else node


@asynccontextmanager
async def open_metadata(settings: Settings, *, create: bool = True) -> AsyncIterator[MetadataStore]:
    """Open the metadata store, and close it at the end. Without `create`, an empty MongoDB database is an error.

    Raises:
        CannotOpenError: it cannot be opened, or it is closed because a restore or a migration is not complete.
    """
    store = metadata_store(settings)
    await open_store(store, settings.data, create=create or settings.mongodb is None)
    try:
        yield store
    finally:
        await store.close()


async def open_key(settings: Settings, store: MetadataStore) -> InstallationKey:
    """Open the key file, and create it for a new metadata store.

    Raises:
        SecretFileError: the file cannot be used.
        CannotOpenError: it does not belong to the metadata store.
    """
    path = key_path(settings)
    installation = await store.installation()
    if installation.key_id is None:
        key = await asyncio.to_thread(InstallationKey.open, path)
        installation = await store.claim_key(key.ids[-1], SystemClock().now())
    elif path.exists():
        key = await asyncio.to_thread(InstallationKey.open, path)
    else:
        raise CannotOpenError(f"the key file {path} does not exist: {_foreign_key_advice(installation)}")
    if not key.sign_with(str(installation.key_id)):
        message = f"the key file {path} does not belong to this metadata store: it has the key {', '.join(key.ids)}"
        raise CannotOpenError(f"{message}; {_foreign_key_advice(installation)}")
    return key


def secret_sealer(key: InstallationKey) -> SealedSecrets:
    """Return the encryption of stored secrets."""
    return SealedSecrets(key.derive("secrets"))


def key_path(settings: Settings) -> Path:
    """Return the path of the key file."""
    return settings.key_file or settings.data / "secret.key"


def _foreign_key_advice(installation: Installation) -> str:
    return (
        f"the metadata store belongs to the key {installation.key_id}. Copy the key file from another server or from a "
        "backup, and name it with --key-file. If the key is lost, run `recordings key adopt-installation`"
    )


def metadata_store(settings: Settings) -> MetadataStore:
    """Return the metadata store that the settings name. It is not open yet. `CannotOpenError` for a wrong URL."""
    if settings.mongodb is None:
        release, cache_bytes = DiskReserve(settings.data).release, settings.sqlite_cache_mb * MIB
        return SqliteStore(settings.data, release, cache_bytes=cache_bytes)
    # A late import: an installation with SQLite does not need the driver.
    from adapters.metadata.mongodb import DriverMissingError, MongoStore, WrongUriError

    database = urlsplit(settings.mongodb).path.strip("/") or "recordings"
    try:
        return MongoStore(settings.mongodb, database, settings.driver)
    except DriverMissingError as error:
        raise CannotOpenError(str(error)) from error
    except WrongUriError as error:
        raise _wrong_uri(error) from error


def _wrong_uri(error: Exception) -> CannotOpenError:
    return CannotOpenError(f"RECORDINGS_MONGODB cannot be used: {scrub(str(error))[:_MAX_DRIVER_MESSAGE]}")


_NO_INSTALLATION: Final = (
    "there is no installation in the database: check its name, which is the path of the URL of --mongodb; "
    "`recordings serve` and `recordings account create` create an installation"
)


async def open_store(store: MetadataStore, data: Path, *, task: str | None = None, create: bool = True) -> None:
    """Open a metadata store. One that is closed is opened only for the `task` that closed it.

    Without `create`, nothing is written to an empty store.

    Raises:
        CannotOpenError: it cannot be opened, it is closed, or it is empty and must not be created.
    """
    try:
        closure = await store.closure() if isinstance(store, CopiedStore) else None
        if closure is not None and closure.task != task:
            raise CopyError(closure.reason)  # noqa: TRY301 - the handler closes the store
        if not create and isinstance(store, CopiedStore) and await store.is_empty():
            raise CopyError(_NO_INSTALLATION)  # noqa: TRY301 - the handler closes the store
        await store.open()
    except Exception as error:
        await store.close()
        reason = scrub(store_error_text(error) or str(error))
        reason = reason[:_MAX_DRIVER_MESSAGE] or type(error).__name__
        message = f"the metadata store cannot be opened: {reason}{_disk_full_note(data)}"
        raise CannotOpenError(message) from error


def _disk_full_note(data: Path) -> str:
    """Return a note if the disk is full, because SQLite reports a full disk as an I/O error."""
    try:
        _, _, free = shutil.disk_usage(data)
    except FileNotFoundError:
        # Some commands with MongoDB do not make the data folder.
        return ""
    return f" (the disk of {data} is full)" if free < MIB else ""


@asynccontextmanager
async def _open_peer_store(settings: Settings, store: MetadataStore) -> AsyncIterator[PeerStore | None]:
    """Open the store of the other servers and workers; `None` if there can be none."""
    if isinstance(store, PeerStore) or settings.worker is None:
        yield store if isinstance(store, PeerStore) else None
        return
    file = PeerFile(settings.data / PEERS_FILE)
    await file.open()
    try:
        yield file
    finally:
        await file.close()


def _peer_client(settings: Settings, store: PeerStore | None, key: InstallationKey, node: str) -> "PeerClient | None":
    """Return the client for the other servers; `None` if there can be none."""
    if store is None:
        return None
    # A late import, as for the driver.
    from adapters.peers import CommandSigner, PeerClient

    urls = {} if settings.worker is None else settings.worker.urls
    return PeerClient(CommandSigner(key.derive("peers"), node, SystemClock()), near=urls)


def _guard(settings: Settings) -> Guard:
    try:
        return Guard(settings.allowed_hosts, settings.private_hosts)
    except ValueError as error:
        message = f"RECORDINGS_ALLOWED_HOSTS or RECORDINGS_PRIVATE_HOSTS cannot be used: {error}"
        raise CannotOpenError(message) from error


def _media_options(settings: Settings) -> MediaOptions:
    try:
        return read_media_options(settings.media_options)
    except MediaOptionsError as error:
        message = f"RECORDINGS_MEDIA_OPTIONS cannot be used: {error}"
        raise CannotOpenError(message) from error


def open_media(settings: Settings, store: MetadataStore) -> MediaRouter:
    """Return the media stores of an installation. `CannotOpenError` for a wrong setting."""
    return _media_router(settings, _guard(settings), _media_options(settings), store)


def _media_router(settings: Settings, guard: Guard, options: MediaOptions, store: MetadataStore) -> MediaRouter:
    async def media_url_of(account_id: str) -> str | None:
        account = await store.account(account_id)
        return None if account is None else account.media

    async def note_media_store(url: str) -> None:
        await store.note_location(url, SystemClock().now())

    try:
        return open_media_store(
            settings.media,
            settings.data,
            guard=guard,
            location_of=media_url_of,
            note=note_media_store,
            options_by_url=options,
        )
    except (ValueError, ImportError) as error:
        message = f"the media store cannot be opened: {error}"
        raise CannotOpenError(message) from error


def _delivery_urls(settings: Settings) -> tuple[str, ...]:
    """Return the allowed beginnings of a recording's `url`. Their schemes have been checked."""
    try:
        return full_prefixes(settings.delivery_places)
    except (ValueError, ImportError) as error:
        message = f"RECORDINGS_DELIVERY_PLACES cannot be used: {error}"
        raise CannotOpenError(message) from error


def _renditions(settings: Settings, media: MediaRouter, exit_stack: AsyncExitStack) -> Renditions:
    folder = settings.own_data / _RENDITIONS
    # Separate processes, started on the first request: conversions for listeners do not delay recordings.
    audio_workers = AudioWorkers(folder / "work", workers=settings.audio_workers + _SPARE_WORKERS)
    exit_stack.push_async_callback(audio_workers.close)
    renditions = Renditions(folder, audio_workers, media.read, max_bytes=settings.renditions_mb * MIB)
    exit_stack.push_async_callback(renditions.close)
    return renditions


def _issuer(settings: Settings) -> "Issuer | None":
    if settings.jwks_url is None:
        return None
    from adapters.identity.jwks_issuer import Issuer

    return Issuer(settings.jwks_url, issuer=settings.jwks_issuer or "", audience=settings.jwks_audience or "")
