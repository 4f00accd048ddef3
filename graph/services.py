"""The one place where adapters are chosen and put together, for the server and the command line alike."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.audio import AudioWorkers, Renditions
from adapters.delivery import UrlCourier, checked_places
from adapters.identity import Credentials, Identity, InstallationKey, Tokens, made_once
from adapters.media import MediaRouter, open_media_store
from adapters.metadata.sqlite import SqliteStore
from adapters.net import Guard
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.spool import FolderSpool
from graph.media.convert import Rendering
from graph.media_options import MediaOptions, WrongMediaOptionsError, read_media_options
from graph.server.audit_log import LogAudit, LogReporter
from graph.server.background_work import Wake
from graph.server.log_setup import scrub
from graph.server.system_clock import SystemClock
from graph.settings import Settings
from recordings.model.ids import is_hex_id, new_id
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import DAY
from recordings.ports.peers import PeerStore
from recordings.ports.recorder import Recorder
from recordings.ports.recording_store import MetadataStore
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.account_settings import AccountSettings
from recordings.use_cases.accounts import ManageAccounts
from recordings.use_cases.doctor import Doctor
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.import_recording import RecordingImporter
from recordings.use_cases.ingest import Ingest
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.users import ManageUsers

if TYPE_CHECKING:
    from adapters.identity.jwks_issuer import Issuer
    from adapters.peers import PeerClient

_MIB = 1 << 20
_SHOWN = 300
"""Characters of what a store says of itself: a driver's whole view of a cluster helps nobody."""
_DELIVERY = "delivery"
_RENDITIONS = "renditions"


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that a front needs, ready for use. Made by `open_services`."""

    settings: Settings
    clock: SystemClock
    node: str
    key: InstallationKey
    store: MetadataStore
    media: MediaRouter
    spool: FolderSpool
    audio_workers: AudioWorkers
    recorder: EmbeddedRecorder
    wake: Wake
    recordings: Recordings
    receiving: Ingest
    upkeep: Upkeep
    administration: ManageAccounts
    membership: ManageUsers
    keeping: AccountSettings
    doctor: Doctor
    importing: RecordingImporter
    identity: Identity
    tokens: Tokens
    cursors: Cursors
    grants: Grants
    renditions: Renditions
    rendering: Rendering

    async def tidy(self) -> None:
        """Clear away what a server that died was making. For a server alone: its data folder is nobody else's."""
        await self.renditions.open()
        await asyncio.to_thread(shutil.rmtree, self.settings.data / _DELIVERY, ignore_errors=True)


class CannotOpenError(Exception):
    """A part of the installation cannot be opened; the message says which, and what it says of itself."""


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open all that an installation consists of, and close it in the end. Nothing runs in the background yet.

    Raises:
        SecretFileError: the key file cannot be used.
        CannotOpenError: the data folder cannot be used, a store cannot be reached, or there is no such place.
    """
    node = _node(settings.data)
    key = InstallationKey.open(settings.key_file or settings.data / "secret.key")
    async with AsyncExitStack() as closing:
        store = await _opened(_metadata(settings), settings.data)
        closing.push_async_callback(store.close)
        guard, options = _guard(settings), _media_options(settings)
        peers = _peers(store, key, node)
        if peers is not None:
            closing.push_async_callback(peers.close)
        media = _media(settings, guard, options, store)
        closing.push_async_callback(media.close)
        places = _places(settings)
        courier = UrlCourier(media.read, guard, settings.data / _DELIVERY, places=places, options=options)
        closing.push_async_callback(courier.close)
        audio_workers = AudioWorkers(settings.data / "work", workers=settings.audio_workers)
        closing.push_async_callback(audio_workers.close)
        renditions = _renditions(settings, media, closing)
        issuer = _issuer(settings)
        if issuer is not None:
            closing.push_async_callback(issuer.close)
        opened = _Opened(store, peers, media, courier, places, audio_workers, renditions, issuer)
        yield _compose(settings, key, node, opened)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The parts that take opening, or more than a look at a setting."""

    store: MetadataStore
    peers: "PeerClient | None"
    media: MediaRouter
    courier: UrlCourier
    places: tuple[str, ...]
    audio_workers: AudioWorkers
    renditions: Renditions
    issuer: "Issuer | None"


def _node(data: Path) -> str:
    """The name under which this data folder holds audio, also after a restart. Makes the folder."""
    path = data / "node"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        node = made_once(path, new_id())
    except OSError as error:
        message = f"the data folder {data} cannot be used: {error.strerror}"
        raise CannotOpenError(message) from error
    if not is_hex_id(node):
        # Two servers with one name would take the calls of each other for their own.
        message = f"{path} must hold the name of this server, 32 lower-case hexadecimal digits: put it back from a copy"
        raise CannotOpenError(message)
    return node


def _metadata(settings: Settings) -> MetadataStore:
    if settings.mongodb is None:
        return SqliteStore(settings.data)
    # The driver is loaded where it is used: one machine with SQLite never needs it.
    from adapters.metadata.mongodb import DriverMissingError, MongoStore, WrongUriError

    database = urlsplit(settings.mongodb).path.strip("/") or "recordings"
    try:
        return MongoStore(settings.mongodb, database, settings.driver)
    except DriverMissingError as error:
        raise CannotOpenError(str(error)) from error
    except WrongUriError as error:
        message = f"RECORDINGS_MONGODB cannot be used: {scrub(str(error))[:_SHOWN]}"
        raise CannotOpenError(message) from error


async def _opened(store: MetadataStore, data: Path) -> MetadataStore:
    try:
        await store.open()
    except Exception as error:
        await store.close()
        # Behind the reason stands all that the driver knows of the cluster.
        said = scrub(str(error)).partition(", Topology Description:")[0]
        message = f"the metadata store cannot be opened: {said[:_SHOWN] or type(error).__name__}{_full(data)}"
        raise CannotOpenError(message) from error
    return store


def _full(data: Path) -> str:
    """What to say besides where no room is left: SQLite itself calls that an I/O error."""
    _, _, free = shutil.disk_usage(data)
    return f" (the disk of {data} is full)" if free < _MIB else ""


def _peers(store: MetadataStore, key: InstallationKey, node: str) -> "PeerClient | None":
    """The client of the other servers, where there can be some."""
    if not isinstance(store, PeerStore):
        return None
    # Loaded where it is used, as the driver is.
    from adapters.peers import Commands, PeerClient

    return PeerClient(Commands(key.derive("peers"), node, SystemClock()))


def _recorder_of_all(own: EmbeddedRecorder, node: str, opened: "_Opened") -> Recorder:
    """The recorder of all calls that the installation has: where no other server can be, this server's own."""
    if opened.peers is None or not isinstance(opened.store, PeerStore):
        return own
    from adapters.peers import PeerRecorder

    return PeerRecorder(own, node=node, peers=opened.store, recordings=opened.store, client=opened.peers)


def _guard(settings: Settings) -> Guard:
    try:
        return Guard(settings.allowed_hosts, settings.private_hosts)
    except ValueError as error:
        message = f"RECORDINGS_ALLOWED_HOSTS or RECORDINGS_PRIVATE_HOSTS cannot be used: {error}"
        raise CannotOpenError(message) from error


def _media_options(settings: Settings) -> MediaOptions:
    try:
        return read_media_options(settings.media_options)
    except WrongMediaOptionsError as error:
        message = f"RECORDINGS_MEDIA_OPTIONS cannot be used: {error}"
        raise CannotOpenError(message) from error


def _media(settings: Settings, guard: Guard, options: MediaOptions, store: MetadataStore) -> MediaRouter:
    async def place_of(account_id: str) -> str | None:
        account = await store.account(account_id)
        return None if account is None else account.media

    async def note(place: str) -> None:
        await store.note_place(place, SystemClock().now())

    try:
        return open_media_store(
            settings.media, settings.data, guard=guard, place_of=place_of, note=note, options_by_url=options
        )
    except (ValueError, ImportError) as error:
        message = f"the media store cannot be opened: {error}"
        raise CannotOpenError(message) from error


def _places(settings: Settings) -> tuple[str, ...]:
    """What a `url` may begin with; every scheme among them is one that can be sent to."""
    try:
        return checked_places(settings.delivery_places)
    except (ValueError, ImportError) as error:
        message = f"RECORDINGS_DELIVERY_PLACES has {error}"
        raise CannotOpenError(message) from error


def _renditions(settings: Settings, media: MediaRouter, closing: AsyncExitStack) -> Renditions:
    folder = settings.data / _RENDITIONS
    # Processes of their own, that start when somebody asks: nobody's recording waits for somebody's listening.
    audio_workers = AudioWorkers(folder / "work", workers=settings.audio_workers)
    closing.push_async_callback(audio_workers.close)
    renditions = Renditions(folder, audio_workers, media.read, most_bytes=settings.renditions_mb * _MIB)
    closing.push_async_callback(renditions.close)
    return renditions


def _issuer(settings: Settings) -> "Issuer | None":
    if settings.jwks_url is None:
        return None
    from adapters.identity.jwks_issuer import Issuer

    return Issuer(settings.jwks_url, issuer=settings.jwks_issuer or "", audience=settings.jwks_audience or "")


def _compose(
    settings: Settings,
    key: InstallationKey,
    node: str,
    opened: _Opened,
) -> Services:
    store, media, audio_workers = opened.store, opened.media, opened.audio_workers
    clock, audit, wake = SystemClock(), LogAudit(), Wake()
    spool = FolderSpool(settings.data)
    limits = Limits(max_body=settings.max_body * _MIB, max_streams=settings.max_streams)
    recorder = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    policy = InstallationPolicy(trash_window=settings.trash_days * DAY, places=opened.places)
    upkeep = Upkeep(
        store=store,
        finalizer=Finalizer(
            store=store,
            media=media,
            spool=spool,
            audio_processor=audio_workers,
            clock=clock,
            forget=opened.renditions.forget,
        ),
        recorder=recorder,
        courier=opened.courier,
        clock=clock,
        reporter=LogReporter(),
        node=node,
        policy=policy,
    )
    recordings = Recordings(
        store=store,
        recorder=_recorder_of_all(recorder, node, opened),
        clock=clock,
        audit=audit,
        wake=wake,
        node=node,
        policy=policy,
    )
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
        recorder=recorder,
        wake=wake,
        recordings=recordings,
        receiving=Ingest(store=store, spool=spool, clock=clock, audit=audit, wake=wake, node=node),
        upkeep=upkeep,
        administration=ManageAccounts(store, clock),
        membership=ManageUsers(store, clock),
        keeping=AccountSettings(store, clock),
        doctor=Doctor(store=store, media=media, spool=spool, clock=clock, discard=audio_workers.discard),
        importing=RecordingImporter(store, upkeep, clock, node),
        identity=Identity(store, tokens, Credentials(store), opened.issuer),
        tokens=tokens,
        cursors=Cursors(key.derive("cursor")),
        grants=Grants(key.derive("media")),
        renditions=opened.renditions,
        rendering=Rendering(opened.renditions),
    )
