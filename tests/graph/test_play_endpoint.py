"""The `/media` endpoint, which plays recordings."""

import asyncio
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from adapters.media import MediaRouter, open_media_store
from graph.media.play_endpoint import MediaEndpoint
from recordings.model.account import DEFAULT_SCOPES, Principal, Scope
from recordings.model.errors import Forbidden, MediaUnavailable, NotFound, Unauthenticated
from recordings.model.recording import Media, Recording, State
from recordings.rules.media_grants import Grant, Grants, requester_of
from recordings.use_cases.playback import Playback
from tests.support.memory_audit import MemoryAudit

ID = "202611-0190f5fe3c5d7a1b8c2d3e4f5a6b7c8d"
NOW = 1_763_799_540_123
DATE = "Sat, 22 Nov 2025 08:19:00 GMT"
DATA = bytes(range(256)) * 4_000
DIGEST = sha256(DATA)
TAG = f'"{DIGEST.hexdigest()}"'
KEY = {"authorization": "Bearer key"}
CALLER = Principal("account", frozenset(DEFAULT_SCOPES))
GRANTS = Grants(b"a secret")
CALLER = Principal("a" * 32, frozenset({Scope.LISTEN}), "ada", "caller")
BY = requester_of(CALLER, 1)


class Clock:
    def now(self) -> int:
        return NOW


@dataclass
class Service:
    """The use cases that the endpoint calls."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    calls: list[object] = field(default_factory=list)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    refused: list[Unauthenticated] = field(default_factory=list)

    async def listen(self, principal: Principal, recording_id: str) -> Playback:
        self.calls.append(principal)
        if recording_id == "forbidden":
            raise Forbidden("this needs the scope 'listen'")
        return Playback(self._playable(recording_id), principal, self.audit)

    async def listen_with_grant(self, grant: Grant, now: int) -> Playback:
        if grant.expires <= now:
            # The use case notes it itself.
            self.refuse_signature(Unauthenticated("this URL has expired"))
            raise self.refused[-1]
        self.calls.append(grant)
        return Playback(self._playable(grant.recording_id), grant.principal, self.audit)

    def refuse_signature(self, refused: Unauthenticated) -> None:
        self.refused.append(refused)

    def _playable(self, recording_id: str) -> Recording:
        if recording_id not in self.recordings:
            raise NotFound("there is no such recording")
        if self.recordings[recording_id].media is None:
            raise MediaUnavailable("it has no audio")
        return self.recordings[recording_id]


class Watched:
    """A media store that counts the bytes read and the open readers."""

    def __init__(self, store: MediaRouter) -> None:
        self._store = store
        self.read_bytes = 0
        self.open = 0
        self.closed = asyncio.Event()

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            async for chunk in self._store.read(url, start, end):
                self.read_bytes += len(chunk)
                yield chunk
        finally:
            self.open -= 1
            self.closed.set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def authenticate(request: Request) -> Principal:
    if request.headers.get("authorization") != KEY["authorization"]:
        raise Unauthenticated("no credentials")
    return CALLER


@dataclass
class Installation:
    app: Starlette
    service: Service
    store: Watched


@pytest.fixture
async def installation(tmp_path: Path) -> Installation:
    store = open_media_store(None, tmp_path)
    (tmp_path / "source").write_bytes(DATA)
    url = await store.put(f"a/{ID}.mp3", str(tmp_path / "source"), "audio/mpeg")
    media = Media(url, "audio/mpeg", len(DATA), 1_000, 8_000, 1, DIGEST.hexdigest(), NOW)
    recording = Recording(
        id=ID, account_id="account", state=State.STORED, start=NOW, created=NOW, modified=NOW, call_id="c", from_="a",
        to="b", name="Gespräch", media=media,
    )  # fmt: skip
    empty = replace(media, length=0, sha256=sha256(b"").hexdigest())
    gone = replace(media, url="local:a/gone.mp3")
    service = Service({
        ID: recording,
        "nothing": replace(recording, media=None),
        "empty": replace(recording, media=empty),
        "gone": replace(recording, media=gone),
    })  # fmt: skip
    watched = Watched(store)
    endpoint = MediaEndpoint(
        service=service, media=watched, grants=GRANTS, clock=Clock(), authenticate=authenticate  # type: ignore[arg-type]
    )  # fmt: skip
    return Installation(Starlette(routes=[endpoint.route()]), service, watched)


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=installation.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://installation", headers=KEY) as made:
        yield made


async def test_the_complete_audio_is_sent(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/media/{ID}")
    assert answer.status_code == 200
    assert answer.content == DATA
    assert dict(answer.headers) == {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache, no-transform",
        "content-disposition": "attachment; filename=\"Gespr_ch.mp3\"; filename*=UTF-8''Gespr%C3%A4ch.mp3",
        "content-length": str(len(DATA)),
        "content-type": "audio/mpeg",
        "etag": TAG,
        "last-modified": DATE,
        "repr-digest": f"sha-256=:{b64encode(DIGEST.digest()).decode()}:",
        "x-content-type-options": "nosniff",
    }


async def test_head_has_the_headers_of_get_and_reads_no_audio(
    client: httpx.AsyncClient, installation: Installation
) -> None:
    get = await client.get(f"/media/{ID}")
    read = installation.store.read_bytes
    head = await client.head(f"/media/{ID}", headers={"range": "bytes=0-1"})
    assert (head.status_code, head.headers, head.content) == (200, get.headers, b"")
    assert installation.store.read_bytes == read


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=100-300000", 100, 300_001), ("bytes=500000-", 500_000, len(DATA)),
     ("bytes=-7", len(DATA) - 7, len(DATA)), ("bytes=0-", 0, len(DATA))],
)  # fmt: skip
async def test_a_range_is_sent(
    client: httpx.AsyncClient, installation: Installation, header: str, start: int, end: int
) -> None:
    answer = await client.get(f"/media/{ID}", headers={"range": header})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.content == DATA[start:end]
    assert installation.store.read_bytes == end - start


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=x", "seconds=0-1"])
async def test_an_invalid_or_multiple_range_returns_the_complete_audio(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get(f"/media/{ID}", headers={"range": header})
    assert (answer.status_code, answer.content) == (200, DATA)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("header", [f"bytes={len(DATA)}-", "bytes=-0"])
async def test_an_unsatisfiable_range_gets_416(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get(f"/media/{ID}", headers={"range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert answer.json()["error"]["code"] == "RANGE_NOT_SATISFIABLE"


async def test_if_range_applies_only_to_the_same_audio(client: httpx.AsyncClient) -> None:
    for value, status in ((TAG, 206), ('"other"', 200), (f"W/{TAG}", 200), (DATE, 206)):
        answer = await client.get(f"/media/{ID}", headers={"range": "bytes=0-1", "if-range": value})
        assert answer.status_code == status


async def test_audio_that_the_client_has_cached_gets_304(client: httpx.AsyncClient, installation: Installation) -> None:
    for headers in ({"if-none-match": f'"x", W/{TAG}'}, {"if-modified-since": DATE}):
        answer = await client.get(f"/media/{ID}", headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == TAG
        assert "content-length" not in answer.headers
    assert installation.store.read_bytes == 0


async def test_a_failed_precondition_gets_412(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/media/{ID}", headers={"if-match": '"other"'})
    assert answer.status_code == 412
    assert answer.json()["error"]["code"] == "PRECONDITION_FAILED"


async def test_empty_audio_can_be_played(client: httpx.AsyncClient) -> None:
    answer = await client.get("/media/empty")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await client.get("/media/empty", headers={"range": "bytes=0-"})).status_code == 416


async def test_inline_changes_the_content_disposition(client: httpx.AsyncClient) -> None:
    for query, kind in (("true", "inline"), ("false", "attachment"), ("", "attachment")):
        answer = await client.get(f"/media/{ID}?inline={query}")
        assert answer.headers["content-disposition"].startswith(kind)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("unknown", 404, "NOT_FOUND"), ("forbidden", 403, "FORBIDDEN"), ("nothing", 404, "MEDIA_UNAVAILABLE"),
     ("gone", 404, "MEDIA_UNAVAILABLE")],
)  # fmt: skip
async def test_a_refusal_has_its_status_and_code(client: httpx.AsyncClient, name: str, status: int, code: str) -> None:
    answer = await client.get(f"/media/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()) == {"error"}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_request_without_credentials_gets_401(client: httpx.AsyncClient, installation: Installation) -> None:
    answer = await client.get(f"/media/{ID}", headers={"authorization": "Bearer other"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert installation.service.calls == []


async def test_a_signed_url_needs_no_credentials(client: httpx.AsyncClient, installation: Installation) -> None:
    expires = NOW + 1
    client.headers.pop("authorization")
    answer = await client.get(f"/media/{ID}?expires={expires}&by={BY}&signature={GRANTS.sign(ID, expires, BY)}")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert installation.service.calls == [Grant(ID, expires, CALLER)]


@pytest.mark.parametrize(
    ("recording_id", "query"),
    [
        (ID, f"expires={NOW}&by={BY}&signature={GRANTS.sign(ID, NOW, BY)}"),
        (ID, f"expires={NOW + 2}&by={BY}&signature={GRANTS.sign(ID, NOW + 1, BY)}"),
        ("empty", f"expires={NOW + 1}&by={BY}&signature={GRANTS.sign(ID, NOW + 1, BY)}"),
        (ID, f"by={BY}&signature={GRANTS.sign(ID, NOW + 1, BY)}"),
        (ID, f"expires={NOW + 1}&signature="),
        (ID, f"expires={'9' * 5000}&signature=x"),
        (ID, f"expires=x&by={BY}&signature={GRANTS.sign(ID, NOW + 1, BY)}"),
        (ID, "expires=1&signature=%ff%00"),
    ],
)
async def test_an_invalid_signature_is_rejected_even_with_credentials(
    client: httpx.AsyncClient, installation: Installation, recording_id: str, query: str
) -> None:
    answer = await client.get(f"/media/{recording_id}?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert installation.service.calls == []
    assert len(installation.service.refused) == 1


async def test_cors_and_other_methods_are_not_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/media/{ID}", headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert (await client.post(f"/media/{ID}")).status_code == 405


@pytest.fixture
async def server(installation: Installation) -> AsyncIterator[str]:
    config = uvicorn.Config(installation.app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    await task


def big(installation: Installation, tmp_path: Path, size: int) -> None:
    """Replace the audio by a large sparse file, which needs no disk space."""
    with (tmp_path / "media" / "a" / "big.mp3").open("wb") as file:
        file.truncate(size)
    recording = installation.service.recordings[ID]
    assert recording.media is not None
    digest = sha256()
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    digest.update(bytes(size % (1 << 20)))
    media = replace(recording.media, url="local:a/big.mp3", length=size, sha256=digest.hexdigest())
    installation.service.recordings[ID] = replace(recording, media=media)


async def test_memory_use_does_not_grow_with_the_size_of_the_audio(
    installation: Installation, server: str, tmp_path: Path
) -> None:
    size = 256 << 20
    big(installation, tmp_path, size)
    total = 0
    async with httpx.AsyncClient(headers=KEY) as client:
        # Do not count memory that is allocated only once.
        await client.get(f"{server}/media/{ID}", headers={"range": "bytes=0-9"})
        tracemalloc.start()
        try:
            async with client.stream("GET", f"{server}/media/{ID}") as answer:
                assert answer.headers["content-length"] == str(size)
                async for chunk in answer.aiter_raw():
                    total += len(chunk)
            _now, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert total == size
    assert most < 8 << 20
    assert installation.store.open == 0


async def test_a_disconnected_client_stops_the_reading(installation: Installation, server: str, tmp_path: Path) -> None:
    size = 256 << 20
    big(installation, tmp_path, size)
    async with httpx.AsyncClient(headers=KEY) as client, client.stream("GET", f"{server}/media/{ID}") as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks)
    await asyncio.wait_for(installation.store.closed.wait(), 30)
    assert installation.store.open == 0
    assert installation.store.read_bytes < size // 2


async def test_the_server_waits_for_a_slow_client(installation: Installation, server: str, tmp_path: Path) -> None:
    big(installation, tmp_path, 256 << 20)
    async with httpx.AsyncClient(headers=KEY) as client, client.stream("GET", f"{server}/media/{ID}") as answer:
        chunks = answer.aiter_raw()
        await anext(chunks)
        before = -1
        while installation.store.read_bytes != before:
            before = installation.store.read_bytes
            await asyncio.sleep(0.1)
        assert before < 64 << 20
        assert installation.store.open == 1
