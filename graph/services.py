"""Choose and connect the adapters. The server and the command line both use these services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

from adapters.audio import AudioWorkers, Renditions
from adapters.delivery import delete_copies
from adapters.identity import AuditSigner, Credentials, Identity, InstallationKey, Tokens, ed25519
from adapters.media import MediaRouter, MediaSealArchive
from adapters.recorders.embedded import EmbeddedRecorder, Limits
from adapters.recorders.open_switch import open_switch
from adapters.recorders.recorder_registry import RecorderRegistry
from adapters.spool import FolderSpool
from graph.media.convert import Converter
from graph.open_parts import DELIVERY_FOLDER, MIB, OpenParts, open_parts
from graph.policy_use_cases import PolicyUseCases
from graph.server.audit_trail import AuditTrail
from graph.server.call_hub import CallHub
from graph.server.clock_file import ClockFile
from graph.server.data_folder import foreign_entries
from graph.server.event_hub import EventHub
from graph.server.seal_turn import seal_turn
from graph.server.step_runner import EarlySteps, WakeSignal
from graph.server.switch_control import SwitchControl
from graph.server.system_clock import SystemClock
from graph.server.webhook_bell import WebhookBell
from graph.server.webhook_work import WebhookWork
from graph.server.work_log import LogReporter, WebhookLog
from graph.settings import Settings
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import DAY, HOUR, SECOND
from recordings.ports.peers import PeerStore
from recordings.ports.recorder import LocalRecorder, Recorder
from recordings.ports.recording_store import MetadataStore
from recordings.ports.webhook_store import WebhookReporter
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.account_closing import AccountClosing
from recordings.use_cases.account_secrets import AccountSecrets
from recordings.use_cases.account_settings import AccountSettings
from recordings.use_cases.accounts import ManageAccounts
from recordings.use_cases.administration import Administration
from recordings.use_cases.audit_log import AuditLog
from recordings.use_cases.call_feed import CallFeed
from recordings.use_cases.count_slots import SlotCounter
from recordings.use_cases.doctor import Doctor
from recordings.use_cases.event_feed import EventFeed
from recordings.use_cases.export_recordings import Exports
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.import_recording import RecordingImporter
from recordings.use_cases.ingest import Ingest
from recordings.use_cases.quotas import Quotas
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.retention_runs import RetentionRuns
from recordings.use_cases.seal_audit import AuditSealer
from recordings.use_cases.servers import Servers
from recordings.use_cases.switch_takes import SwitchTakes
from recordings.use_cases.unclear_writes import Reporter
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.users import ManageUsers
from recordings.use_cases.verify_audit import AuditVerifier
from recordings.use_cases.webhook_attempt import WebhookRequests
from recordings.use_cases.webhook_secrets import WebhookSecrets
from recordings.use_cases.webhooks import Webhooks

if TYPE_CHECKING:
    from adapters.peers import PeerClient


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
    peer_store: PeerStore | None
    peer_client: "PeerClient | None"
    wake: WakeSignal
    early: EarlySteps
    audit: AuditTrail
    audit_log: AuditLog
    audit_sealer: AuditSealer
    audit_verifier: AuditVerifier
    recordings: Recordings
    slot_counter: SlotCounter
    exports: Exports
    hub: EventHub
    events: EventFeed
    call_hub: CallHub
    calls: CallFeed
    ingest: Ingest
    upkeep: Upkeep
    accounts: ManageAccounts
    users: ManageUsers
    account_settings: AccountSettings
    administration: Administration
    secrets: AccountSecrets
    webhooks: Webhooks
    webhook_work: WebhookWork
    webhook_bell: WebhookBell
    retention_runs: RetentionRuns
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
        await asyncio.to_thread(delete_copies, self.settings.own_data / DELIVERY_FOLDER)
        if self.settings.own_data != self.settings.data:
            return
        for name in await asyncio.to_thread(foreign_entries, self.settings):
            LogReporter().left_alone(name)


@asynccontextmanager
async def open_services(settings: Settings, *, create: bool = True) -> AsyncIterator[Services]:
    """Open all parts of an installation, and close them at the end. No background work is started.

    Raises:
        SecretFileError: the key file cannot be used.
        CannotOpenError: the data folder cannot be used, a store is unreachable, or a setting is invalid.
    """
    async with open_parts(settings, create=create) as parts:
        services = _connect(settings, parts)
        try:
            yield services
        finally:
            await services.hub.stop()
            await services.call_hub.stop()


def _reporter(settings: Settings) -> Reporter:
    if settings.metrics is None:
        return LogReporter()
    # A late import: most commands have no metrics.
    from graph.metrics.counters import CountingReporter

    return CountingReporter(LogReporter(), by_account=settings.metrics_accounts)


def _webhook_reporter(settings: Settings) -> WebhookReporter:
    if settings.metrics is None:
        return WebhookLog()
    from graph.metrics.counters import CountingWebhookReporter

    return CountingWebhookReporter(WebhookLog())


def _recorder_of_all_servers(own: LocalRecorder, node: str, parts: OpenParts) -> Recorder:
    """Return the recorder for the calls of all servers; if there can be no other server, this server's own."""
    if parts.peers is None or parts.peer_store is None:
        return own
    from adapters.peers import ClusterRecorder

    return ClusterRecorder(own, node=node, peers=parts.peer_store, recordings=parts.store, client=parts.peers)


def _connect(settings: Settings, parts: OpenParts) -> Services:
    key, node = parts.key, parts.node
    store, media, audio_workers = parts.store, parts.media, parts.audio_workers
    clock, audit, wake, early = SystemClock(), parts.audit, WakeSignal(), EarlySteps()
    archive, signer = MediaSealArchive(media), AuditSigner(key.derive("audit"))
    spool = FolderSpool(settings.own_data)
    limits = Limits(
        max_body=settings.max_body * MIB,
        max_streams=settings.max_streams,
        max_uploads=settings.max_uploads,
        account_share=settings.account_share,
        min_speed=settings.upload_min_speed,
        max_received=settings.max_received_hours * HOUR / SECOND,
    )
    embedded = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    recorder = RecorderRegistry(
        embedded, [open_switch(url, spool=spool, clock=clock, node=node) for url in settings.switch]
    )
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
            audit=audit,
            forget=parts.renditions.forget,
            policy=policy,
        ),
        recorder=recorder_of_all,
        courier=parts.courier,
        clock=clock,
        reporter=_reporter(settings),
        node=node,
        policy=policy,
        mark=ClockFile(settings.own_data),
    )
    quotas = Quotas(store, clock, audit, embedded.live_calls)
    policy_use_cases = PolicyUseCases.connect(
        store, recorder_of_all, clock, audit, wake, node=node, url_prefixes=parts.allowed_urls, quotas=quotas
    )
    recordings = Recordings(
        store=store,
        recorder=recorder_of_all,
        clock=clock,
        audit=audit,
        wake=wake,
        node=node,
        policy=policy,
        starter=policy_use_cases.starter,
    )
    peers = parts.peer_store
    servers = None if peers is None else Servers(peers, store, clock)
    tokens, hub = Tokens(key.derive("jwt"), clock), EventHub(store)
    call_hub = CallHub(recorder.live_calls, node, peers)
    account_settings = AccountSettings(store, clock, audit)
    webhook_secrets = WebhookSecrets(parts.secrets, clock, ed25519)
    webhook_requests = WebhookRequests(
        parts.webhook_sender, webhook_secrets, clock, settings.address, store.installation
    )
    webhook_work = WebhookWork(
        store=store, live=hub, requests=webhook_requests, clock=clock, reporter=_webhook_reporter(settings), node=node
    )
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
        peer_store=peers,
        peer_client=parts.peers,
        wake=wake,
        early=early,
        audit=audit,
        audit_log=AuditLog(store, audit, audit.running_plays),
        audit_sealer=AuditSealer(
            store=store,
            archive=archive,
            signer=signer,
            clock=clock,
            node=node,
            days=settings.audit_days,
            turn=lambda: seal_turn(settings.own_data),
        ),
        audit_verifier=AuditVerifier(store, archive, signer, node),
        recordings=recordings,
        slot_counter=SlotCounter(store, clock),
        exports=Exports(store, audit),
        hub=hub,
        events=EventFeed(store, hub, audit),
        call_hub=call_hub,
        calls=CallFeed(store, call_hub, audit),
        ingest=Ingest(
            store=store,
            spool=spool,
            clock=clock,
            audit=audit,
            wake=wake,
            node=node,
            admit=policy_use_cases.starts.admit,
            quotas=quotas,
            undo_later=upkeep.undo_later,
            slots=early,
        ),
        upkeep=upkeep,
        accounts=ManageAccounts(store, clock, audit),
        users=ManageUsers(store, clock, audit),
        account_settings=account_settings,
        administration=Administration(store, clock, audit),
        secrets=parts.secrets,
        webhooks=Webhooks(
            store=store,
            secrets=webhook_secrets,
            requests=webhook_requests,
            clock=clock,
            audit=audit,
            check_url=parts.webhook_sender.problem_of,
            ring=webhook_work.ring,
        ),
        webhook_work=webhook_work,
        webhook_bell=WebhookBell(store, hub, webhook_work.ring_for_event),
        retention_runs=RetentionRuns(store, account_settings, clock, f"{parts.node}-{token_hex(4)}"),
        closing=AccountClosing(store, clock, audit),
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
        identity=Identity(store, tokens, Credentials(store), parts.issuer, audit=audit),
        tokens=tokens,
        cursors=Cursors(key.derive("cursor")),
        grants=Grants(key.derive("media")),
        renditions=parts.renditions,
        converter=Converter(parts.renditions),
    )
