"""An installation with one of each kind of thing, and as many recordings as a test wants."""

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.media import FolderMedia
from adapters.metadata.sqlite.database import connect
from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.account import Account, ApiKey, IngestAddress, Scope
from recordings.model.audit_entry import Actor, ActorKind, AuditAction, AuditEntry, AuditObject, Link, Origin, Seal
from recordings.model.events import Annotated, Created, Held, Trashed
from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.instants import DAY
from recordings.model.quota import Quota
from recordings.model.recording import Media, Reference, State
from recordings.model.recording_changes import RecordingChanges
from recordings.model.recording_policy import DocumentKind, PolicyDocument
from recordings.model.retention import Retention
from recordings.model.retention_run import RetentionRun
from recordings.model.user import Passwords, User
from recordings.model.webhook import Webhook, WebhookAttempt, WebhookProgress, start_of
from recordings.ports.recording_store import MetadataStore
from recordings.ports.secret_store import AccountSecret
from recordings.rules.audit_chain import link
from recordings.use_cases.audit_seal import seal_id
from recordings.use_cases.finalizer import media_key
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.samples import NOW, recording

ACCOUNT = "ab" * 16
ENTRY_COUNT = 5


async def fill(store: MetadataStore, data: Path, count: int = 20) -> list[str]:
    """Fill an open store, and the local media store of a data folder. Return the ids of recordings with audio."""
    await _add_settings(store)
    await _add_trail(store)
    return await add_recordings(store, data, count)


async def add_recordings(store: MetadataStore, data: Path, count: int, *, first: int = 0) -> list[str]:
    """Add recordings: most are stored, some are held, deleted or named, and some have no audio."""
    media, writer = FolderMedia(data / "media", "local:"), RecordingWriter(store)
    source, with_audio = data / "source", list[str]()
    for number in range(first, first + count):
        values: dict[str, Any] = {"account_id": ACCOUNT, "id": f"202611-{number:032x}", "call_id": f"call {number}"}
        made = recording(**values, start=NOW + number, created=NOW + number, user_metadata={"a.$b": [number, 2**70]})
        if number % 5 == 4:
            made = replace(made, state=State.RECORDING, node="n1", due_at=NOW + DAY, start_key=f"key {number}")
        elif number % 20 == 3:
            url = "https://provider.example.org/1.mp3"
            made = replace(made, reference=Reference(url), media=_media(b"", url, place="https://provider.example.org"))
        else:
            content = b"audio " * 50 + b"%d" % number
            source.write_bytes(content)
            url = await media.put(media_key(made, "mp3"), str(source), "audio/mpeg")
            made = replace(made, media=_media(content, url), held_source=f"source {number}:1")
            with_audio.append(made.id)
        await writer.create(made, Created(at=made.created))
        if number % 10 == 1:
            await writer.save_event(made, Held(at=NOW, by="ada", reason="a trial"))
        elif number % 10 == 2:
            await writer.save_event(made, Trashed(at=NOW, by="ada", purge_at=NOW + 30_000 * DAY))
        elif number % 10 == 5:
            for change in range(40):
                made = await writer.save_event(made, Annotated(at=NOW, changes=RecordingChanges(label=f"l{change}")))
    source.unlink(missing_ok=True)
    return with_audio


def _media(content: bytes, url: str, place: str | None = None) -> Media:
    digest = hashlib.sha256(content).hexdigest()
    return Media(url, "audio/mpeg", len(content), 61_000, 8_000, 2, digest, NOW, place=place)


async def _add_settings(store: MetadataStore) -> None:
    top = Account(id="cd" * 16, name="Reseller ü", created=NOW)
    rules, quota = (Retention(90), Retention(9, "Order")), Quota(bytes=2**50, streams=3)
    account = Account(
        id=ACCOUNT, name="Acme", created=NOW + 1, tree=(top.id,), retention=rules, numbers=("+49301",),
        sip_realm="acme.example.org", quota=quota,
    )  # fmt: skip
    assert await store.add_account(top)
    assert await store.add_account(account)
    passwords = Passwords("11" * 32, "22" * 32)
    assert await store.add_user(User(id="u1", account_id=ACCOUNT, username="Ada", created=NOW, passwords=passwords))
    assert await store.add_user(User(id="u2", account_id=ACCOUNT, username="Bob", created=NOW))
    await store.add_key(ApiKey("k1", ACCOUNT, (Scope.READ, Scope.ADMIN), "33" * 32, NOW, owner_id="u1"))
    await store.add_key(ApiKey("k2", ACCOUNT, (Scope.READ,), "44" * 32, NOW, revoked=NOW + 5))
    await store.add_ingest(IngestAddress("i1", ACCOUNT, "55" * 32, NOW, record_all=True))
    await store.revoke_token("t1", NOW + 30_000 * DAY)
    await store.set_disabled(ACCOUNT, "u2", NOW)
    await store.end_tokens(ACCOUNT, "", NOW)
    assert await store.save_account_secret(AccountSecret(ACCOUNT, "delivery", ("sealed 1", "sealed 2")), ())
    document = PolicyDocument(
        account_id=ACCOUNT, kind=DocumentKind.DEVICE, id="d1", body={"z.y": {"$set": 2**80}}, revision=1, modified=NOW
    )  # fmt: skip
    assert await store.save_policy_document(document)
    await store.note_location("s3://bucket/folder/", NOW)
    assert await store.save_retention_run(RetentionRun(account_id=ACCOUNT, started=NOW, after=(5, "id")), None)
    hook = Webhook(id="w1", account_id=ACCOUNT, url="https://hooks.example.org/", created=NOW, modified=NOW)
    progress = WebhookProgress(webhook_id="w1", cursor=start_of(NOW))
    await store.insert_webhook(hook, progress)
    attempt = WebhookAttempt(
        number=7, event_id="e1", type=EventType.STORED, subject="r1", attempt=1, at=NOW, duration_ms=5, succeeded=True
    )  # fmt: skip
    assert await store.save_progress(replace(progress, due_at=NOW, revision=progress.revision + 1), [attempt])
    event = FeedEvent(
        account_id=ACCOUNT, subject="p1", revision=1, type=EventType.POLICY_CHANGED, time=NOW,
    )  # fmt: skip
    await store.add_event(event)


async def _add_trail(store: MetadataStore) -> None:
    actor, end, entries = Actor(ActorKind.OWNER, "ada", ACCOUNT, owner_id="ada"), Link(), []
    for number in range(ENTRY_COUNT):
        target = AuditObject("recording", f"r{number}", ACCOUNT)
        entry = AuditEntry(
            id=f"e{number}", at=NOW + number, account_id=ACCOUNT, actor=actor, origin=Origin(), action=AuditAction.PLAY,
            object=target,
        )  # fmt: skip
        entries.append(link(entry, "n1", end))
        end = entries[-1].link
    await store.append_entries(entries)
    await store.add_seal(Seal(id=seal_id("n1", 1), writer="n1", at=NOW, text='{"body": "b"}'))


def with_many(data: Path, rows: int) -> None:
    """Add copies of stored recordings with audio of their own to a SQLite file, until it has this many recordings."""
    with closing(connect(data / FILE, "rw")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        (existing,) = connection.execute("SELECT count(*) FROM recordings").fetchone()
        (sample,) = connection.execute("SELECT min(id) FROM recordings WHERE state = 'STORED'").fetchone()
        names = [row[1] for row in connection.execute("PRAGMA table_info(recordings)")]
        (values,) = connection.execute("SELECT * FROM recordings WHERE id = ?", (sample,)).fetchall()
        row = dict(zip(names, values, strict=True))
        insert = f"INSERT INTO recordings VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - a constant
        for number in range(existing, rows):
            recording_id = f"202611-{number:032x}"
            content = b"audio %d" % number
            key = f"{row['account_id']}/202611/{recording_id}.mp3"
            media = json.loads(row["media"]) | {
                "url": f"local:{key}", "length": len(content), "sha256": hashlib.sha256(content).hexdigest()
            }  # fmt: skip
            changed = {"id": recording_id, "media": json.dumps(media), "held_source": None, "start": NOW + number}
            connection.execute(insert, list((row | changed).values()))
            path = data / "media" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        connection.execute("COMMIT")
