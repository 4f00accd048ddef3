"""Deliveries to real servers over HTTP, FTP, SFTP and S3."""

import asyncio
import hashlib
import os
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fsspec.implementations.memory import MemoryFileSystem
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.delivery import UrlCourier
from adapters.net import Guard, Limits
from recordings.model.options import RecordingOptions
from recordings.model.recording import Delivery, DeliveryState, Media, Recording
from recordings.ports.audio import MediaMissing
from recordings.ports.courier import DeliveryOutcome
from recordings.ports.recording_store import StoreUnavailableError
from recordings.ports.sealer import CannotUnsealError
from recordings.rules.webhook_signature import new_signing_secret, read_signing_secret
from tests.adapters.delivery.receiver import Receiver, receiving
from tests.contract.metadata.samples import NOW
from tests.contract.metadata.samples import recording as sample
from tests.servers.certificates import make_certificate
from tests.servers.ftp_server import ftp_server
from tests.servers.seaweedfs import BUCKET
from tests.servers.sftp_server import sftp_server
from tests.servers.shared_server import Address

DATA = os.urandom(3_000_000)
LOOPBACK = Guard(private=["127.0.0.1"])


class Source:
    """A media store with one object, which counts its readers."""

    def __init__(self, data: bytes = DATA, breaks: Exception | None = None) -> None:
        self.data = data
        self.breaks = breaks
        self.open = 0
        self.read_times = 0
        self.closed = asyncio.Event()

    async def read(self, _url: str, _start: int = 0, _end: int | None = None) -> AsyncIterator[bytes]:
        self.open += 1
        self.read_times += 1
        try:
            for start in range(0, len(self.data), 250_000):
                yield self.data[start : start + 250_000]
            if self.breaks is not None:
                raise self.breaks
        finally:
            self.open -= 1
            self.closed.set()


def recording(url: str, method: str = "put", data: bytes = DATA) -> Recording:
    media = Media("local:x", "audio/mpeg", len(data), 1_000, 8_000, 1, hashlib.sha256(data).hexdigest(), NOW)
    return sample(
        options=RecordingOptions(url=url, method=method),
        media=media,
        delivery=Delivery("d" * 32, DeliveryState.PENDING, NOW),
        call_id="call@host",
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


Make = Callable[..., UrlCourier]


@pytest.fixture
async def courier(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[UrlCourier] = []

    def make(source: Source | None = None, **given: Any) -> UrlCourier:
        made.append(UrlCourier((source or Source()).read, given.pop("guard", LOOPBACK), tmp_path / "work", **given))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.mark.parametrize("method", ["put", "post"])
async def test_the_audio_arrives_with_its_description(receiver: Receiver, courier: Make, method: str) -> None:
    result = await courier().deliver(recording(f"{receiver.url}/in", method))
    assert result.outcome is DeliveryOutcome.DELIVERED
    (heard,) = receiver.heard
    assert (heard.method, heard.body) == (method.upper(), DATA)
    assert heard.target.startswith("/in/call_recording_call%40host.mp3?from=1001%40x.sip.invalid&to=")
    assert heard.headers["Content-Type"] == "audio/mpeg"
    assert heard.headers["Content-Length"] == str(len(DATA))
    assert heard.headers["Recording-Delivery-Id"] == "d" * 32
    assert heard.headers["Repr-Digest"] == f"sha-256=:{b64encode(hashlib.sha256(DATA).digest()).decode()}:"
    assert "Transfer-Encoding" not in heard.headers


async def test_a_delivery_is_signed_with_every_secret_of_its_account(receiver: Receiver, courier: Make) -> None:
    secrets, asked, body = [new_signing_secret() for _ in range(2)], [], b'{"audio": "' + b"x" * 2_000_000 + b'"}'

    async def signing_keys(account_id: str) -> list[bytes]:
        asked.append(account_id)
        return [read_signing_secret(secret) for secret in secrets]

    receiver.answers = [web.Response(status=307, headers={"Location": "/moved"}), web.Response()]
    source = Source(body)
    result = await courier(source, signing_keys=signing_keys).deliver(recording(receiver.url, data=body))
    assert (result.outcome, len(asked), source.read_times) == (DeliveryOutcome.DELIVERED, 1, 3)
    first, second = receiver.heard
    assert second.headers["webhook-id"] == second.headers["Recording-Delivery-Id"] == "d" * 32
    for secret in secrets:
        Webhook(secret).verify(second.body, second.headers)
    # Only the body is signed, so a redirected request has the same signature.
    assert first.headers["webhook-signature"] == second.headers["webhook-signature"]
    with pytest.raises(WebhookVerificationError):
        Webhook(new_signing_secret()).verify(second.body, second.headers)


async def test_a_delivery_without_a_secret_has_no_signature(receiver: Receiver, courier: Make) -> None:
    source = Source()
    await courier(source).deliver(recording(receiver.url))
    assert not [name for name in receiver.heard[0].headers if name.lower().startswith("webhook")]
    assert source.read_times == 1


@pytest.mark.parametrize("error", [CannotUnsealError("the key x is lost"), StoreUnavailableError("away")])
async def test_a_delivery_that_cannot_be_signed_is_not_sent(
    receiver: Receiver, courier: Make, error: Exception
) -> None:
    async def signing_keys(_account_id: str) -> list[bytes]:
        raise error

    result = await courier(signing_keys=signing_keys).deliver(recording(receiver.url))
    assert (result.outcome, result.error) == (DeliveryOutcome.RETRY, f"the delivery cannot be signed now: {error}")
    assert receiver.heard == []


async def test_an_empty_file_arrives(receiver: Receiver, courier: Make) -> None:
    assert (await courier(Source(b"")).deliver(recording(receiver.url, data=b""))).outcome is DeliveryOutcome.DELIVERED
    assert receiver.heard[0].headers["Content-Length"] == "0"


async def test_a_repeated_delivery_has_the_same_id(receiver: Receiver, courier: Make) -> None:
    receiver.answers = [web.Response(status=503, headers={"Retry-After": "7"}, text="later\n"), web.Response()]
    wanted = recording(receiver.url)
    first = await courier().deliver(wanted)
    assert (first.outcome, first.retry_after, first.error) == (
        DeliveryOutcome.RETRY,
        7_000,
        "the server answered 503: later",
    )
    assert (await courier().deliver(wanted)).outcome is DeliveryOutcome.DELIVERED
    assert {heard.headers["Recording-Delivery-Id"] for heard in receiver.heard} == {"d" * 32}
    assert [heard.body == DATA for heard in receiver.heard] == [True, True]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_keep_the_method_and_the_body(receiver: Receiver, courier: Make, status: int) -> None:
    receiver.answers = [web.Response(status=status, headers={"Location": "/there?x=%40"}), web.Response()]
    source = Source()
    assert (await courier(source).deliver(recording(receiver.url, "post"))).outcome is DeliveryOutcome.DELIVERED
    assert [(heard.method, heard.body == DATA) for heard in receiver.heard] == [("POST", True)] * 2
    assert receiver.heard[1].target == "/there?x=%40"
    assert (source.open, source.read_times) == (0, 2)


async def test_a_redirect_before_the_body_was_read_gets_the_whole_body(receiver: Receiver, courier: Make) -> None:
    async def hasty(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/there"})

    receiver.answers = [hasty]
    source = Source()
    assert (await courier(source).deliver(recording(receiver.url))).outcome is DeliveryOutcome.DELIVERED
    assert receiver.heard[0].body == DATA


async def test_a_redirect_loop_is_rejected(receiver: Receiver, courier: Make) -> None:
    receiver.answers = [web.Response(status=302, headers={"Location": place}) for place in ("/a", "/b", "/a")]
    result = await courier().deliver(recording(receiver.url))
    assert (result.outcome, len(receiver.heard)) == (DeliveryOutcome.REJECTED, 3)
    assert "loop" in result.error


async def test_the_eleventh_redirect_is_not_followed(receiver: Receiver, courier: Make) -> None:
    small = b"x"
    receiver.answers = [web.Response(status=302, headers={"Location": f"/{number}"}) for number in range(20)]
    result = await courier(Source(small)).deliver(recording(receiver.url, data=small))
    assert (result.outcome, len(receiver.heard)) == (DeliveryOutcome.REJECTED, 11)


async def test_303_is_not_followed_because_it_would_lose_the_body(receiver: Receiver, courier: Make) -> None:
    receiver.answers = [web.Response(status=303, headers={"Location": "/there"})]
    assert (await courier().deliver(recording(receiver.url))).outcome is DeliveryOutcome.REJECTED
    assert len(receiver.heard) == 1


async def test_a_redirect_to_a_private_address_is_rejected(receiver: Receiver, courier: Make) -> None:
    async with receiving() as private:
        receiver.answers = [
            web.Response(status=307, headers={"Location": f"http://127.0.0.2:{private.port}/latest/meta-data"})
        ]
        result = await courier().deliver(recording(receiver.url))
        assert (result.outcome, private.heard) == (DeliveryOutcome.REJECTED, [])
        assert "has no public address" in result.error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"])
async def test_nothing_is_sent_to_a_private_address(receiver: Receiver, courier: Make, host: str) -> None:
    result = await courier(guard=Guard()).deliver(recording(f"http://{host}:{receiver.port}/"))
    assert (result.outcome, receiver.heard) == (DeliveryOutcome.REJECTED, [])


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that knows one internal name."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *given: Any, **named: Any) -> Any:
        if host == "vault.internal.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]
        if host == "unknown.internal.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, port, *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "ftps", "sftp"])
async def test_an_error_does_not_reveal_which_internal_names_exist(courier: Make, scheme: str) -> None:
    sender = courier(guard=Guard(), prefixes=(scheme,))
    for name in ("vault", "unknown"):
        result = await sender.deliver(recording(f"{scheme}://{name}.internal.example/in"))
        assert (result.outcome, result.error) == (
            DeliveryOutcome.RETRY,
            f"the host '{name}.internal.example' has no public address",
        )


@pytest.mark.usefixtures("names")
async def test_a_redirect_does_not_reveal_which_internal_names_exist(receiver: Receiver, courier: Make) -> None:
    found = []
    for name in ("vault", "unknown"):
        receiver.answers = [web.Response(status=307, headers={"Location": f"http://{name}.internal.example/"})]
        found.append(await courier().deliver(recording(receiver.url)))
        receiver.answers = []
    assert [each.outcome for each in found] == [DeliveryOutcome.RETRY] * 2
    assert found[0].error.replace("vault", "unknown") == found[1].error


async def test_an_unlisted_host_is_rejected(courier: Make) -> None:
    result = await courier(guard=Guard(["customer.example"])).deliver(recording("https://other.example/in"))
    assert (result.outcome, result.error) == (
        DeliveryOutcome.REJECTED,
        "the host 'other.example' is not among the allowed hosts",
    )


async def test_an_error_before_the_body_was_read_is_reported(receiver: Receiver, courier: Make) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=413, text="too large")

    receiver.answers = [refuse]
    source = Source()
    result = await courier(source).deliver(recording(receiver.url))
    assert result.outcome is DeliveryOutcome.REJECTED
    assert "413" in result.error


async def test_an_endless_response_is_cut_off(receiver: Receiver, courier: Make) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        try:
            while not receiver.over.is_set():
                await response.write(b"no " * 1_000)
        except ConnectionError:
            pass
        return response

    receiver.answers = [endless]
    result = await courier().deliver(recording(receiver.url))
    assert result.outcome is DeliveryOutcome.RETRY
    assert len(result.error) < 400


async def test_a_silent_server_is_a_timeout(receiver: Receiver, courier: Make) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await receiver.over.wait()
        return web.Response()

    receiver.answers = [silent]
    result = await courier(limits=Limits(idle=0.1)).deliver(recording(receiver.url))
    assert result.outcome is DeliveryOutcome.RETRY
    assert "timeout" in result.error


async def test_an_unreachable_server_is_retried(courier: Make) -> None:
    result = await courier().deliver(recording("http://127.0.0.1:9/?token=hidden"))
    assert result.outcome is DeliveryOutcome.RETRY
    assert "hidden" not in result.error


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", bytes([DATA[0] ^ 1]) + DATA[1:], b""])
async def test_wrong_audio_never_arrives_complete(receiver: Receiver, courier: Make, data: bytes) -> None:
    source = Source(data)
    result = await courier(source).deliver(recording(receiver.url))
    assert result.outcome is DeliveryOutcome.RETRY
    assert "does not match its digest" in result.error
    assert receiver.heard == []
    assert source.open == 0


async def test_an_error_of_the_media_store_is_named(receiver: Receiver, courier: Make) -> None:
    result = await courier(Source(DATA[:1_000_000], OSError("disk"))).deliver(recording(receiver.url))
    assert (result.outcome, result.error) == (DeliveryOutcome.RETRY, "the stored audio cannot be read: OSError")
    gone = await courier(Source(b"", MediaMissing("x"))).deliver(recording(receiver.url))
    assert gone.outcome is DeliveryOutcome.REJECTED
    assert receiver.heard == []


@pytest.mark.parametrize("url", ["ftp://h.example/", "s3://bucket/", "file:///etc/", "gopher://x/", "x", ""])
async def test_other_schemes_are_rejected(courier: Make, url: str) -> None:
    assert (await courier().deliver(recording(url))).outcome is DeliveryOutcome.REJECTED


async def test_a_prefix_may_be_longer_than_a_scheme(courier: Make) -> None:
    sender = courier(prefixes=("memory://drops/",))
    assert (await sender.deliver(recording("memory://drops/in"))).outcome is DeliveryOutcome.DELIVERED
    for url in (
        "memory://others/in", "memory://drops/../others", "memory://drops/%2e%2e/others", "memory://drops",
        "memory://drops/..#x", "memory://drops/..?x", "memory://drops/..%23x", "memory://drops/..\\others",
    ):  # fmt: skip
        result = await sender.deliver(recording(url))
        assert (result.outcome, "is not allowed" in result.error) == (DeliveryOutcome.REJECTED, True)
    MemoryFileSystem.store.clear()


async def test_the_user_of_a_url_is_sent_only_to_its_own_host(receiver: Receiver, courier: Make) -> None:
    async with receiving() as other:
        receiver.answers = [web.Response(status=307, headers={"Location": f"{other.url}/there"})]
        result = await courier().deliver(recording(f"http://user:p%40ss@127.0.0.1:{receiver.port}/in"))
        assert result.outcome is DeliveryOutcome.DELIVERED
        credentials = [heard.headers.get("Authorization") for heard in (*receiver.heard, *other.heard)]
        assert credentials == ["Basic " + b64encode(b"user:p@ss").decode(), None]


async def test_a_recording_without_a_url_audio_or_delivery_is_rejected(courier: Make) -> None:
    plain = recording("http://h.example/")
    for lacking in (
        replace(plain, delivery=None),
        replace(plain, media=None),
        replace(plain, options=RecordingOptions()),
    ):
        assert (await courier().deliver(lacking)).outcome is DeliveryOutcome.REJECTED


async def test_a_cancelled_delivery_closes_its_source(receiver: Receiver, courier: Make) -> None:
    came = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        came.set()
        await receiver.over.wait()
        return web.Response()

    receiver.answers = [silent]
    source = Source(DATA * 20)
    sending = asyncio.create_task(courier(source).deliver(recording(receiver.url, data=DATA * 20)))
    await came.wait()
    sending.cancel()
    await asyncio.wait([sending])
    async with asyncio.timeout(10):
        await source.closed.wait()
    assert sending.cancelled()


# Other protocols than HTTP


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    root = tmp_path / "ftp"
    (root / "in").mkdir(parents=True)
    with ftp_server(root) as port:
        yield port, root


async def test_ftp_is_binary_and_shows_only_complete_files(courier: Make, ftp: tuple[int, Path]) -> None:
    port, root = ftp
    sender = courier(prefixes=("ftp",))
    result = await sender.deliver(recording(f"ftp://user:p%40ss@127.0.0.1:{port}/in/"))
    assert result.outcome is DeliveryOutcome.DELIVERED
    assert {path.name: path.read_bytes() == DATA for path in (root / "in").iterdir()} == {
        "call_recording_call@host.mp3": True
    }


async def test_an_ftp_error_is_retried_and_shows_no_password(courier: Make, ftp: tuple[int, Path]) -> None:
    port, root = ftp
    sender = courier(prefixes=("ftp",))
    for place in (f"user:hidden@127.0.0.1:{port}/in", f"127.0.0.1:{port}/in", "127.0.0.1:9/in"):
        result = await sender.deliver(recording(f"ftp://{place}"))
        assert result.outcome is DeliveryOutcome.RETRY
        assert "hidden" not in result.error
    refused = await courier(prefixes=("ftp",), guard=Guard()).deliver(recording(f"ftp://127.0.0.1:{port}/in"))
    assert refused.outcome is DeliveryOutcome.REJECTED
    assert list((root / "in").iterdir()) == []


async def test_wrong_audio_is_not_sent_over_ftp(courier: Make, ftp: tuple[int, Path]) -> None:
    port, root = ftp
    sender = courier(Source(DATA[1:]), prefixes=("ftp",))
    result = await sender.deliver(recording(f"ftp://user:p%40ss@127.0.0.1:{port}/in"))
    assert (result.outcome, list((root / "in").iterdir())) == (DeliveryOutcome.RETRY, [])


@pytest.fixture
def ftps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Path]]:
    root = tmp_path / "ftps"
    (root / "in").mkdir(parents=True)
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with ftp_server(root, certificate) as port:
        yield port, root


async def test_ftps_is_encrypted(courier: Make, ftps: tuple[int, Path]) -> None:
    port, root = ftps
    sender = courier(prefixes=("ftp", "ftps"))
    plain = await sender.deliver(recording(f"ftp://user:p%40ss@127.0.0.1:{port}/in"))
    assert (plain.outcome, list((root / "in").iterdir())) == (DeliveryOutcome.RETRY, [])
    result = await sender.deliver(recording(f"ftps://user:p%40ss@127.0.0.1:{port}/in"))
    assert (result.outcome, result.error) == (DeliveryOutcome.DELIVERED, "")
    assert {path.name: path.read_bytes() == DATA for path in (root / "in").iterdir()} == {
        "call_recording_call@host.mp3": True
    }
    refused = await courier(prefixes=("ftps",), guard=Guard()).deliver(recording(f"ftps://127.0.0.1:{port}/in"))
    assert refused.outcome is DeliveryOutcome.REJECTED


async def test_ftps_with_an_untrusted_certificate_fails(
    courier: Make, ftps: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path / "other.pem")))
    port, root = ftps
    result = await courier(prefixes=("ftps",)).deliver(recording(f"ftps://user:p%40ss@127.0.0.1:{port}/in"))
    assert result.outcome is DeliveryOutcome.RETRY
    assert "SSLCertVerificationError" in result.error
    assert list((root / "in").iterdir()) == []


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    root = tmp_path / "sftp"
    root.mkdir()
    with sftp_server(root) as port:
        yield port, root


async def test_sftp_creates_the_folder_and_shows_only_complete_files(courier: Make, sftp: tuple[int, Path]) -> None:
    port, root = sftp
    sender = courier(prefixes=("sftp",))
    for _ in range(2):
        result = await sender.deliver(recording(f"sftp://user:p%40ss@127.0.0.1:{port}/in/to%20day/"))
        assert (result.outcome, result.error) == (DeliveryOutcome.DELIVERED, "")
    assert {path.name: path.read_bytes() == DATA for path in (root / "in" / "to day").iterdir()} == {
        "call_recording_call@host.mp3": True
    }


async def test_a_call_id_stays_in_the_folder(courier: Make, sftp: tuple[int, Path]) -> None:
    port, root = sftp
    place = f"sftp://user:p%40ss@127.0.0.1:{port}/drops/"
    sent = replace(recording(f"{place}in"), call_id="x%2F..%2F..%2F..%2Fout")
    assert (await courier(prefixes=(place,)).deliver(sent)).outcome is DeliveryOutcome.DELIVERED
    assert [path.relative_to(root).as_posix() for path in root.rglob("*.mp3")] == [
        "drops/in/call_recording_x%2F..%2F..%2F..%2Fout.mp3"
    ]


async def test_an_sftp_error_is_retried_and_shows_no_password(courier: Make, sftp: tuple[int, Path]) -> None:
    port, root = sftp
    sender = courier(prefixes=("sftp",))
    for place in (f"user:hidden@127.0.0.1:{port}/in", f"127.0.0.1:{port}/in", "user:hidden@127.0.0.1:9/in"):
        result = await sender.deliver(recording(f"sftp://{place}"))
        assert result.outcome is DeliveryOutcome.RETRY
        assert "hidden" not in result.error
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]"])
@pytest.mark.parametrize("scheme", ["ftp", "ftps", "sftp", "ssh"])
async def test_no_protocol_reaches_a_private_address(
    courier: Make, sftp: tuple[int, Path], scheme: str, host: str
) -> None:
    port, root = sftp
    url = f"{scheme}://user:p%40ss@{host}:{port}/in"
    result = await courier(prefixes=(scheme,), guard=Guard()).deliver(recording(url))
    assert result.outcome is DeliveryOutcome.REJECTED
    assert "has no public address" in result.error
    unlisted = await courier(prefixes=(scheme,), guard=Guard(["files.example.org"])).deliver(recording(url))
    assert unlisted.outcome is DeliveryOutcome.REJECTED
    assert "not among the allowed hosts" in unlisted.error
    assert list(root.iterdir()) == []


async def test_own_credentials_are_used_only_for_the_host_they_are_set_for(
    courier: Make, sftp: tuple[int, Path]
) -> None:
    port, root = sftp
    login = {"username": "user", "password": "p@ss"}
    url = f"sftp://127.0.0.1:{port}/in"
    any_host = await courier(prefixes=("sftp",), options={"sftp://": login}).deliver(recording(url))
    assert (any_host.outcome, list(root.iterdir())) == (DeliveryOutcome.RETRY, [])
    named = courier(prefixes=("sftp",), options={"sftp://": {}, f"sftp://127.0.0.1:{port}/": login})
    assert (await named.deliver(recording(url))).outcome is DeliveryOutcome.DELIVERED


@pytest.mark.parametrize("place", ["webdav", "smb://", "file", "local:///", "github", "nothing", "simplecache://"])
def test_a_scheme_with_unchecked_hosts_needs_a_host(courier: Make, place: str) -> None:
    with pytest.raises((ValueError, ImportError), match=place.partition(":")[0]):
        courier(prefixes=("https", place))


async def test_a_prefix_ends_at_the_end_of_its_host(courier: Make) -> None:
    sender = courier(prefixes=("memory://drops", "https://drops.example.org"))
    for url in (
        "memory://drops-of-others/in", "memory://drops@x/in", "memory://drops:1/in", "memory://dröps/",
        "https://drops.example.org.evil.example/", "https://drops.example.org@evil.example/",
        "https://drops.example.org:8443/", "https://drops.example.org\\@evil.example/",
    ):  # fmt: skip
        result = await sender.deliver(recording(url))
        assert (result.outcome, "is not allowed" in result.error) == (DeliveryOutcome.REJECTED, True), url
    assert (await sender.deliver(recording("memory://drops"))).outcome is DeliveryOutcome.DELIVERED
    MemoryFileSystem.store.clear()


async def test_a_caller_cannot_choose_the_endpoint_of_a_bucket(receiver: Receiver, courier: Make) -> None:
    async with receiving() as decoy:
        options = {
            "endpoint_url": receiver.url,
            "key": "k",
            "secret": "s",
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }
        sender = courier(prefixes=("s3",), options={"s3://": options})
        host = f"127.0.0.1:{decoy.port}"
        refused = (
            f"s3://{host}/b",
            f"s3://bucket@{host}/b",
            "s3://arn:aws:s3:us-east-1:1:accesspoint:x/b",
            "s3://[::1]/b",
            "s3:///b",
        )
        for url in refused:
            assert (await sender.deliver(recording(url))).outcome is DeliveryOutcome.REJECTED, url
        assert receiver.heard == []
        taken = (
            f"s3://bucket/x?endpoint_url={decoy.url}",
            f"s3://bucket/x::{decoy.url}/y",
            f"s3://bucket/x#@{host}/",
            "s3://127.0.0.1/b",
        )
        for url in taken:
            await sender.deliver(recording(url))
        assert len(receiver.heard) >= len(taken)
        assert decoy.heard == []


async def test_every_fsspec_store_can_be_allowed(courier: Make, tmp_path: Path) -> None:
    result = await courier(prefixes=("memory",)).deliver(recording("memory://customer/in"))
    assert result.outcome is DeliveryOutcome.DELIVERED
    store = MemoryFileSystem()
    assert store.cat("/customer/in/call_recording_call@host.mp3") == DATA
    store.store.clear()
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_bucket_of_a_real_store_can_be_allowed(courier: Make, seaweedfs: Address) -> None:
    options = {"endpoint_url": seaweedfs["s3"], "key": seaweedfs["key"], "secret": seaweedfs["secret"]}
    sender = courier(prefixes=("s3",), options={"s3://": options})
    assert (await sender.deliver(recording(f"s3://{BUCKET}/customer"))).outcome is DeliveryOutcome.DELIVERED
    wrong = courier(prefixes=("s3",), options={"s3://": options | {"secret": "hidden"}})
    result = await wrong.deliver(recording(f"s3://{BUCKET}/customer"))
    assert result.outcome is DeliveryOutcome.RETRY
    assert "hidden" not in result.error
