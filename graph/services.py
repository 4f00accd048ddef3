"""Choose and connect the adapters. The server and the command line both use these services."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.audio import AudioWorkers, Renditions
from adapters.delivery import UrlCourier, delete_copies, full_prefixes
from adapters.identity import Credentials, Identity, InstallationKey, Tokens
from adapters.media import MediaRouter, open_media_store
from adapters.metadata.sqlite import SqliteStore
from adapters.net import Guard
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.open_switch import open_switch
from adapters.recorders.recorder_registry import RecorderRegistry
from adapters.spool import FolderSpool
from graph.media.convert import Converter
from graph.media_options import MediaOptions, MediaOptionsError, read_media_options
from graph.policy_use_cases import PolicyUseCases
from graph.server.audit_log import LogAudit, LogReporter
from graph.server.background_work import WakeSignal
from graph.server.clock_file import ClockFile
from graph.server.data_folder import foreign_entries
from graph.server.disk_reserve import DiskReserve
from graph.server.log_setup import scrub
from graph.server.node_id import read_node_id
from graph.server.switch_control import SwitchControl
from graph.server.system_clock import SystemClock
from graph.settings import Settings
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import DAY, HOUR, SECOND
from recordings.ports.peers import PeerStore
from recordings.ports.recorder import LocalRecorder, Recorder
from recordings.ports.recording_store import MetadataStore
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.account_closing import AccountClosing
from recordings.use_cases.account_settings import AccountSettings
from recordings.use_cases.accounts import ManageAccounts
from recordings.use_cases.count_slots import SlotCounter
from recordings.use_cases.doctor import Doctor
from recordings.use_cases.export_recordings import Exports
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.import_recording import RecordingImporter
from recordings.use_cases.ingest import Ingest
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.servers import Servers
from recordings.use_cases.switch_takes import SwitchTakes
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.users import ManageUsers

if TYPE_CHECKING:
    from adapters.identity.jwks_issuer import Issuer
    from adapters.peers import PeerClient

_MIB = 1 << 20
_MAX_DRIVER_MESSAGE = 300
"""Characters of a driver's error message that are shown: a driver may describe its whole cluster."""
_DELIVERY = "delivery"
_RENDITIONS = "renditions"


@dataclass(frozen=True, kw_only=True)
class Services:
    """All parts of an open installation. Made by `open_services`."""

    settings: Settings
    clock: SystemClock
    node: str
    key: InstallationKey
    store: MetadataStore
    media: MediaRouter
    spool: FolderSpool
    audio_workers: AudioWorkers
    embedded: EmbeddedRecorder
    recorder: LocalRecorder
    switches: SwitchControl
    peer_client: "PeerClient | None"
    wake: WakeSignal
    recordings: Recordings
    slot_counter: SlotCounter
    exports: Exports
    ingest: Ingest
    upkeep: Upkeep
    accounts: ManageAccounts
    users: ManageUsers
    account_settings: AccountSettings
    closing: AccountClosing
    policy: PolicyUseCases
    doctor: Doctor
    servers: Servers | None
    importer: RecordingImporter
    identity: Identity
    tokens: Tokens
    cursors: Cursors
    grants: Grants
    renditions: Renditions
    converter: Converter

    async def remove_leftovers(self) -> None:
        """Delete the temporary files of a dead server, and log the entries that this service did not make.

        Only a server may call this: it has locked the data folder.
        """
        await self.renditions.open()
        await asyncio.to_thread(delete_copies, self.settings.data / _DELIVERY)
        for name in await asyncio.to_thread(foreign_entries, self.settings):
            LogReporter().left_alone(name)


class CannotOpenError(Exception):
    """A part of the installation cannot be opened. The message names the part and the reason."""


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open all parts of an installation, and close them at the end. No background work is started.

    Raises:
        SecretFileError: the key file cannot be used.
        CannotOpenError: the data folder cannot be used, a store is unreachable, or a setting is invalid.
    """
    try:
        node = read_node_id(settings.data)
    except ValueError as error:
        raise CannotOpenError(str(error)) from error
    key = InstallationKey.open(settings.key_file or settings.data / "secret.key")
    async with AsyncExitStack() as exit_stack:
        store = await _open_store(_metadata_store(settings), settings.data)
        exit_stack.push_async_callback(store.close)
        await asyncio.to_thread(DiskReserve(settings.data).make)
        guard, options = _guard(settings), _media_options(settings)
        peers = _peer_client(store, key, node)
        if peers is not None:
            exit_stack.push_async_callback(peers.close)
        media = _media_router(settings, guard, options, store)
        exit_stack.push_async_callback(media.close)
        allowed_urls = _delivery_urls(settings)
        courier = UrlCourier(media.read, guard, settings.data / _DELIVERY, prefixes=allowed_urls, options=options)
        exit_stack.push_async_callback(courier.close)
        audio_workers = AudioWorkers(settings.data / "work", workers=settings.audio_workers)
        exit_stack.push_async_callback(audio_workers.close)
        renditions = _renditions(settings, media, exit_stack)
        issuer = _issuer(settings)
        if issuer is not None:
            exit_stack.push_async_callback(issuer.close)
        parts = _OpenParts(store, peers, media, courier, allowed_urls, audio_workers, renditions, issuer)
        yield _connect(settings, key, node, parts)


@dataclass(frozen=True, slots=True)
class _OpenParts:
    """The parts that must be opened, or that need more than a setting."""

    store: MetadataStore
    peers: "PeerClient | None"
    media: MediaRouter
    courier: UrlCourier
    allowed_urls: tuple[str, ...]
    audio_workers: AudioWorkers
    renditions: Renditions
    issuer: "Issuer | None"


def _metadata_store(settings: Settings) -> MetadataStore:
    if settings.mongodb is None:
        return SqliteStore(settings.data, DiskReserve(settings.data).release)
    # A late import: an installation with SQLite does not need the driver.
    from adapters.metadata.mongodb import DriverMissingError, MongoStore, WrongUriError

    database = urlsplit(settings.mongodb).path.strip("/") or "recordings"
    try:
        return MongoStore(settings.mongodb, database, settings.driver)
    except DriverMissingError as error:
        raise CannotOpenError(str(error)) from error
    except WrongUriError as error:
        message = f"RECORDINGS_MONGODB cannot be used: {scrub(str(error))[:_MAX_DRIVER_MESSAGE]}"
        raise CannotOpenError(message) from error


async def _open_store(store: MetadataStore, data: Path) -> MetadataStore:
    try:
        await store.open()
    except Exception as error:
        await store.close()
        # After the reason, the driver describes its whole cluster.
        reason = scrub(str(error)).partition(", Topology Description:")[0]
        reason = reason[:_MAX_DRIVER_MESSAGE] or type(error).__name__
        message = f"the metadata store cannot be opened: {reason}{_disk_full_note(data)}"
        raise CannotOpenError(message) from error
    return store


def _disk_full_note(data: Path) -> str:
    """Return a note if the disk is full, because SQLite reports a full disk as an I/O error."""
    _, _, free = shutil.disk_usage(data)
    return f" (the disk of {data} is full)" if free < _MIB else ""


def _peer_client(store: MetadataStore, key: InstallationKey, node: str) -> "PeerClient | None":
    """Return the client for the other servers; `None` if the metadata store cannot be shared."""
    if not isinstance(store, PeerStore):
        return None
    # A late import, as for the driver.
    from adapters.peers import CommandSigner, PeerClient

    return PeerClient(CommandSigner(key.derive("peers"), node, SystemClock()))


def _recorder_of_all_servers(own: LocalRecorder, node: str, parts: "_OpenParts") -> Recorder:
    """Return the recorder for the calls of all servers; if there can be no other server, this server's own."""
    if parts.peers is None or not isinstance(parts.store, PeerStore):
        return own
    from adapters.peers import ClusterRecorder

    return ClusterRecorder(own, node=node, peers=parts.store, recordings=parts.store, client=parts.peers)


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
    folder = settings.data / _RENDITIONS
    # Separate processes, started on the first request: conversions for listeners do not delay recordings.
    audio_workers = AudioWorkers(folder / "work", workers=settings.audio_workers)
    exit_stack.push_async_callback(audio_workers.close)
    renditions = Renditions(folder, audio_workers, media.read, max_bytes=settings.renditions_mb * _MIB)
    exit_stack.push_async_callback(renditions.close)
    return renditions


def _issuer(settings: Settings) -> "Issuer | None":
    if settings.jwks_url is None:
        return None
    from adapters.identity.jwks_issuer import Issuer

    return Issuer(settings.jwks_url, issuer=settings.jwks_issuer or "", audience=settings.jwks_audience or "")


def _connect(
    settings: Settings,
    key: InstallationKey,
    node: str,
    parts: _OpenParts,
) -> Services:
    store, media, audio_workers = parts.store, parts.media, parts.audio_workers
    clock, audit, wake = SystemClock(), LogAudit(), WakeSignal()
    spool = FolderSpool(settings.data)
    limits = Limits(
        max_body=settings.max_body * _MIB,
        max_streams=settings.max_streams,
        max_received=settings.max_received_hours * HOUR / SECOND,
    )
    embedded = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    recorder = RecorderRegistry(embedded, [open_switch(url, spool=spool, clock=clock) for url in settings.switch])
    recorder_of_all = _recorder_of_all_servers(recorder, node, parts)
    policy = InstallationPolicy(
        trash_window=settings.trash_days * DAY,
        url_prefixes=parts.allowed_urls,
        max_received=settings.max_received_hours * HOUR,
        accept_video=settings.video == "drop",
    )
    upkeep = Upkeep(
        store=store,
        finalizer=Finalizer(
            store=store,
            media=media,
            spool=spool,
            audio_processor=audio_workers,
            clock=clock,
            forget=parts.renditions.forget,
            policy=policy,
        ),
        recorder=recorder_of_all,
        courier=parts.courier,
        clock=clock,
        reporter=LogReporter(),
        node=node,
        policy=policy,
        mark=ClockFile(settings.data),
    )
    policy_use_cases = PolicyUseCases.connect(
        store, recorder_of_all, clock, audit, wake, node=node, url_prefixes=parts.allowed_urls
    )
    recordings = Recordings(
        store=store,
        recorder=recorder_of_all,
        clock=clock,
        audit=audit,
        wake=wake,
        node=node,
        policy=policy,
        policies=policy_use_cases.reader,
    )
    peers = store if isinstance(store, PeerStore) else None
    servers = None if peers is None else Servers(peers, store, clock)
    tokens = Tokens(key.derive("jwt"), clock)
    return Services(
        settings=settings,
        clock=clock,
        node=node,
        key=key,
        store=store,
        media=media,
        spool=spool,
        audio_workers=audio_workers,
        embedded=embedded,
        recorder=recorder,
        switches=SwitchControl(
            recorder.switches,
            SwitchTakes(store=store, peers=peers, clock=clock, node=node),
            peers=peers,
            node=node,
        ),
        peer_client=parts.peers,
        wake=wake,
        recordings=recordings,
        slot_counter=SlotCounter(store, clock),
        exports=Exports(store, audit),
        ingest=Ingest(
            store=store,
            spool=spool,
            clock=clock,
            audit=audit,
            wake=wake,
            node=node,
            undo_later=upkeep.undo_later,
        ),
        upkeep=upkeep,
        accounts=ManageAccounts(store, clock),
        users=ManageUsers(store, clock),
        account_settings=AccountSettings(store, clock),
        closing=AccountClosing(store, clock),
        policy=policy_use_cases,
        doctor=Doctor(
            store=store,
            media=media,
            spool=spool,
            clock=clock,
            discard=audio_workers.discard,
            of_gone_servers=None if servers is None else servers.recordings_of_gone_servers,
        ),
        servers=servers,
        importer=RecordingImporter(store, upkeep, clock, node),
        identity=Identity(store, tokens, Credentials(store), parts.issuer),
        tokens=tokens,
        cursors=Cursors(key.derive("cursor")),
        grants=Grants(key.derive("media")),
        renditions=parts.renditions,
        converter=Converter(parts.renditions),
    )
