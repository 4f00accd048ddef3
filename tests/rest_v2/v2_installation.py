"""The v2 API on a real store. Tests control its recorder, its clock and its audio."""

import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from adapters.audio import AudioWorkers, Renditions
from adapters.identity import Credentials, Identity, Revocations, Tokens
from adapters.media import FolderMedia
from adapters.rest_v2.recording.v2_document import from_v2
from adapters.rest_v2.v2_app import rest_v2_app
from adapters.rest_v2.v2_settings import V2Settings
from adapters.rest_v2.version_mount import mount_versions
from graph.media.convert import Converter
from recordings.model.account import DEFAULT_SCOPES, Account, Principal, Scope
from recordings.model.ids import new_id, new_recording_id
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import Media, Reason, Recording, State
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.accounts import ManageAccounts
from recordings.use_cases.finalizer import media_key
from recordings.use_cases.policies import Policies
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.users import ManageUsers
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit
from tests.support.webhook_parts import ScriptedReceiver, webhooks_on

OFFSET = 62_167_219_200
AUDIO = bytes(range(256)) * 40
VERSION = "1.2.3"
BASE = "http://rest.invalid"


class Ticks:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Installation:
    """The parts below the v2 API. The tests of one store share it. Each test has its own account."""

    store: MetadataStore
    media: FolderMedia
    folder: Path
    # The JWT library compares tokens to the real time, so the clock starts there, just after a full second.
    clock: FakeClock = field(default_factory=lambda: FakeClock(int(time.time()) * SECOND + 123))
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    ticks: Ticks = field(default_factory=Ticks)

    def __post_init__(self) -> None:
        self.recorder = FakeRecorder(self.clock)
        self.tokens = Tokens(b"k" * 32, self.clock)
        credentials = Credentials(self.store, self.ticks)
        self.identity = Identity(self.store, self.tokens, credentials, revocations=Revocations(self.store, self.ticks))
        self.administration = ManageAccounts(self.store, self.clock, self.audit)
        self.users = ManageUsers(self.store, self.clock, self.audit)
        self.reader = PolicyReader(self.store, self.clock)
        self.policies = Policies(store=self.store, reader=self.reader, clock=self.clock, audit=self.audit)
        self.receiver = ScriptedReceiver()
        self.webhooks = webhooks_on(self.store, self.clock, self.audit, self.receiver)
        self.woken = 0
        # Its process starts with the first conversion.
        self.audio_workers = AudioWorkers(self.folder / "work", workers=1)
        self.renditions = Renditions(self.folder / "renditions", self.audio_workers, self.media.read)
        self.converter = Converter(self.renditions)
        self.service = Recordings(
            store=self.store,
            recorder=self.recorder,
            clock=self.clock,
            audit=self.audit,
            wake=self._wake,
            node="n" * 32,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def close(self) -> None:
        """Stop the audio workers."""
        await self.renditions.close()
        await self.audio_workers.close()

    def app(self, settings: V2Settings | None = None, **other: Any) -> Starlette:
        """Return the v2 API at its path in the service."""
        return Starlette(routes=[mount_versions(self.shim(settings, **other))])

    def shim(self, settings: V2Settings | None = None, **other: Any) -> ASGIApp:
        """Return the v2 API itself."""
        parts: dict[str, Any] = {
            "recordings": self.service,
            "users": self.users,
            "policies": self.policies,
            "webhooks": self.webhooks,
            "accounts": self.store,
            "audit": self.audit,
            "authenticate": self.identity.authenticate_token,
            "end_token": self.identity.end_token,
            "issue_token": self.tokens.issue,
            "read": self.media.read,
            "convert": self.converter.convert,
            "clock": self.clock,
            "node": "node-1",
            "version": VERSION,
            "settings": settings,
            "seconds": self.ticks,
        }
        return rest_v2_app(**parts | other)


class V2Client:
    """One account and an HTTP client for it."""

    def __init__(self, installation: Installation, account: Account, client: httpx.AsyncClient) -> None:
        self.installation = installation
        self.account = account
        self.client = client
        self.headers = {"X-Auth-Token": self.token()}

    @property
    def path(self) -> str:
        return f"/v2/accounts/{self.account.id}"

    @property
    def recordings(self) -> str:
        return f"{self.path}/recordings"

    @property
    def now(self) -> int:
        """The time in Gregorian seconds."""
        return self.installation.clock.now() // SECOND + OFFSET

    def principal(self, *scopes: Scope, owner_id: str | None = None) -> Principal:
        return Principal(self.account.id, frozenset(scopes or DEFAULT_SCOPES), owner_id, "tester")

    def token(self, *scopes: Scope, owner_id: str | None = None, seconds: int = 3_600) -> str:
        return self.installation.tokens.issue(self.principal(*scopes, owner_id=owner_id), seconds)

    async def send(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        """Send a request with the account's token. `headers` can replace it."""
        headers = {**self.headers, **options.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        return await self.client.request(method, path or self.recordings, headers=headers, **options)

    async def get(self, path: str = "", **params: Any) -> httpx.Response:
        return await self.send("GET", path, params=params)

    async def put(self, path: str, data: Any, **envelope: Any) -> httpx.Response:
        return await self.send("PUT", path, json={"data": data, **envelope})

    async def ids(self, path: str = "", **params: Any) -> list[str]:
        """Return the ids of one page."""
        response = await self.get(path, **params)
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["data"]]

    async def add(self, at: Millis = 0, audio: bytes | None = AUDIO, **given: Any) -> Recording:
        """Add a stored recording that was made `at` milliseconds ago."""
        made = given.get("created", self.installation.clock.now() - at)
        wav = given.get("format") == "wav"
        recording = Recording(
            **{
                "id": new_recording_id(made),
                "account_id": self.account.id,
                "state": State.STORED if audio is not None else State.LOST,
                "reason": None if audio is not None else Reason.AUDIO_MISSING,
                "start": made,
                "created": made,
                "ended": made,
                "modified": made,
                "call_id": secrets.token_hex(8),
                "from_": "1001@acme.example.com",
                "to": "+14155550123@acme.example.com",
                "caller_id_name": "Ada",
                "caller_id_number": "1001",
                "duration_ms": 42_380,
                "direction": "inbound",
                **given,
            }
        )
        if audio is not None:
            recording = replace(recording, media=await self.keep(recording, audio, wav=wav))
        await self.installation.store.insert(recording)
        return recording

    async def keep(self, recording: Recording, audio: bytes, *, wav: bool = False) -> Media:
        """Put audio into the media store."""
        path = self.installation.folder / secrets.token_hex(8)
        path.write_bytes(audio)
        content_type = "audio/x-wav" if wav else "audio/mpeg"
        key = media_key(recording, "wav" if wav else "mp3")
        url = await self.installation.media.put(key, str(path), content_type)
        path.unlink()
        digest = hashlib.sha256(audio).hexdigest()
        return Media(url, content_type, len(audio), 42_380, 16_000, 2, digest, recording.created)

    async def take_in(self, document: dict[str, Any], audio: bytes | None = None) -> Recording:
        """Store a document of Kazoo, as an import does."""
        recording = from_v2(document, self.account, self.installation.clock.now())
        if audio is not None:
            media = await self.keep(recording, audio)
            recording = replace(recording, state=State.STORED, reason=None, reason_detail=None, media=media)
        await self.installation.store.insert(recording)
        return recording


async def new_account(installation: Installation, name: str = "Acme", tree: tuple[str, ...] = ()) -> Account:
    account = Account(new_id(), name, installation.clock.now(), tree)
    assert await installation.store.add_account(account)
    return account


@asynccontextmanager
async def client_of(app: Any, client: tuple[str, int] = ("192.0.2.1", 1)) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client for an app."""
    transport = httpx.ASGITransport(app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as opened:
        yield opened


__all__ = ["AUDIO", "OFFSET", "Installation", "V2Client", "client_of", "new_account"]
