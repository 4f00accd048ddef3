"""Sending a recording, to servers that do what servers do."""

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fsspec.implementations.memory import MemoryFileSystem

from adapters.delivery import UrlCourier
from adapters.net import Guard, Limits
from recordings.model.options import RecordingOptions
from recordings.model.recording import Delivery, DeliveryState, Media, Recording
from recordings.ports.audio import MediaMissing
from recordings.ports.courier import Sent
from tests.adapters.delivery.receiver import Receiver, receiving
from tests.contract.metadata.samples import NOW
from tests.contract.metadata.samples import recording as sample
from tests.servers.certificates import make_certificate
from tests.servers.ftp_server import ftp_server
from tests.servers.seaweedfs import BUCKET
from tests.servers.sftp_server import sftp_server
from tests.servers.shared import Answer

DATA = os.urandom(3_000_000)
LOOPBACK = Guard(private=["127.0.0.1"])


class Source:
    """A media store with one object, which counts its readers."""

    def __init__(self, data: bytes = DATA, breaks: Exception | None = None) -> None:
        self.data = data
        self.breaks = breaks
        self.open = 0
        self.read_times = 0
        self.left = asyncio.Event()

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
            self.left.set()


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
async def test_the_bytes_arrive_with_what_is_told_of_them(receiver: Receiver, courier: Make, method: str) -> None:
    receipt = await courier().deliver(recording(f"{receiver.url}/in", method))
    assert receipt.sent is Sent.DELIVERED
    (heard,) = receiver.heard
    assert (heard.method, heard.body) == (method.upper(), DATA)
    assert heard.target.startswith("/in/call_recording_call%40host.mp3?from=1001%40x.sip.invalid&to=")
    assert heard.headers["Content-Type"] == "audio/mpeg"
    assert heard.headers["Content-Length"] == str(len(DATA))
    assert heard.headers["Recording-Delivery-Id"] == "d" * 32
    assert heard.headers["Repr-Digest"] == f"sha-256=:{b64encode(hashlib.sha256(DATA).digest()).decode()}:"
    assert "Transfer-Encoding" not in heard.headers


async def test_an_empty_file_arrives(receiver: Receiver, courier: Make) -> None:
    assert (await courier(Source(b"")).deliver(recording(receiver.url, data=b""))).sent is Sent.DELIVERED
    assert receiver.heard[0].headers["Content-Length"] == "0"


async def test_a_repetition_bears_the_same_id(receiver: Receiver, courier: Make) -> None:
    receiver.answers = [web.Response(status=503, headers={"Retry-After": "7"}, text="later\n"), web.Response()]
    wanted = recording(receiver.url)
    first = await courier().deliver(wanted)
    assert (first.sent, first.after, first.error) == (Sent.AGAIN, 7_000, "the server answered 503: later")
    assert (await courier().deliver(wanted)).sent is Sent.DELIVERED
    assert {heard.headers["Recording-Delivery-Id"] for heard in receiver.heard} == {"d" * 32}
    assert [heard.body == DATA for heard in receiver.heard] == [True, True]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_followed_with_verb_and_body(receiver: Receiver, courier: Make, status: int) -> None:
    receiver.answers = [web.Response(status=status, headers={"Location": "/there?x=%40"}), web.Response()]
    source = Source()
    assert (await courier(source).deliver(recording(receiver.url, "post"))).sent is Sent.DELIVERED
    assert [(heard.method, heard.body == DATA) for heard in receiver.heard] == [("POST", True)] * 2
    assert receiver.heard[1].target == "/there?x=%40"
    assert (source.open, source.read_times) == (0, 2)


async def test_a_redirect_before_the_body_is_followed_with_all_of_it(receiver: Receiver, courier: Make) -> None:
    async def hasty(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/there"})

    receiver.answers = [hasty]
    source = Source()
    assert (await courier(source).deliver(recording(receiver.url))).sent is Sent.DELIVERED
    assert receiver.heard[0].body == DATA


async def test_a_circle_of_redirects_is_left(receiver: Receiver, courier: Make) -> None:
    receiver.answers = [web.Response(status=302, headers={"Location": place}) for place in ("/a", "/b", "/a")]
    receipt = await courier().deliver(recording(receiver.url))
    assert (receipt.sent, len(receiver.heard)) == (Sent.NEVER, 3)
    assert "circle" in receipt.error


async def test_the_eleventh_redirect_is_not_followed(receiver: Receiver, courier: Make) -> None:
    small = b"x"
    receiver.answers = [web.Response(status=302, headers={"Location": f"/{number}"}) for number in range(20)]
    receipt = await courier(Source(small)).deliver(recording(receiver.url, data=small))
    assert (receipt.sent, len(receiver.heard)) == (Sent.NEVER, 11)


async def test_303_would_lose_the_body_and_is_not_followed(receiver: Receiver, courier: Make) -> None:
    receiver.answers = [web.Response(status=303, headers={"Location": "/there"})]
    assert (await courier().deliver(recording(receiver.url))).sent is Sent.NEVER
    assert len(receiver.heard) == 1


async def test_a_redirect_to_the_inside_is_refused(receiver: Receiver, courier: Make) -> None:
    async with receiving() as inside:
        receiver.answers = [
            web.Response(status=307, headers={"Location": f"http://127.0.0.2:{inside.port}/latest/meta-data"})
        ]
        receipt = await courier().deliver(recording(receiver.url))
        assert (receipt.sent, inside.heard) == (Sent.NEVER, [])
        assert "not at a public address" in receipt.error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"])
async def test_nothing_is_sent_to_the_inside(receiver: Receiver, courier: Make, host: str) -> None:
    receipt = await courier(guard=Guard()).deliver(recording(f"http://{host}:{receiver.port}/"))
    assert (receipt.sent, receiver.heard) == (Sent.NEVER, [])


async def test_a_host_that_is_not_listed_is_refused(courier: Make) -> None:
    receipt = await courier(guard=Guard(["customer.example"])).deliver(recording("https://other.example/in"))
    assert (receipt.sent, receipt.error) == (
        Sent.NEVER,
        "the host 'other.example' is not among those that are allowed",
    )


async def test_a_refusal_before_the_body_was_read_is_heard(receiver: Receiver, courier: Make) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=413, text="too large")

    receiver.answers = [refuse]
    source = Source()
    receipt = await courier(source).deliver(recording(receiver.url))
    assert receipt.sent is Sent.NEVER
    assert "413" in receipt.error


async def test_an_answer_without_end_is_cut_off(receiver: Receiver, courier: Make) -> None:
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
    receipt = await courier().deliver(recording(receiver.url))
    assert receipt.sent is Sent.AGAIN
    assert len(receipt.error) < 400


async def test_a_server_that_says_nothing_is_given_up(receiver: Receiver, courier: Make) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await receiver.over.wait()
        return web.Response()

    receiver.answers = [silent]
    receipt = await courier(limits=Limits(idle=0.1)).deliver(recording(receiver.url))
    assert receipt.sent is Sent.AGAIN
    assert "it took too long" in receipt.error


async def test_a_server_that_is_not_there_is_tried_again(courier: Make) -> None:
    receipt = await courier().deliver(recording("http://127.0.0.1:9/?token=hidden"))
    assert receipt.sent is Sent.AGAIN
    assert "hidden" not in receipt.error


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"?" + DATA[1:], b""])
async def test_wrong_bytes_never_arrive_whole(receiver: Receiver, courier: Make, data: bytes) -> None:
    source = Source(data)
    receipt = await courier(source).deliver(recording(receiver.url))
    assert receipt.sent is Sent.AGAIN
    assert "not what was stored" in receipt.error
    assert receiver.heard == []
    assert source.open == 0


async def test_a_store_that_fails_is_not_the_receivers_fault(receiver: Receiver, courier: Make) -> None:
    receipt = await courier(Source(DATA[:1_000_000], OSError("disk"))).deliver(recording(receiver.url))
    assert (receipt.sent, receipt.error) == (Sent.AGAIN, "the stored audio cannot be read: OSError")
    gone = await courier(Source(b"", MediaMissing("x"))).deliver(recording(receiver.url))
    assert gone.sent is Sent.NEVER
    assert receiver.heard == []


@pytest.mark.parametrize("url", ["ftp://h.example/", "s3://bucket/", "file:///etc/", "gopher://x/", "x", ""])
async def test_only_schemes_that_are_allowed_are_used(courier: Make, url: str) -> None:
    assert (await courier().deliver(recording(url))).sent is Sent.NEVER


async def test_more_than_a_scheme_can_be_asked_of_a_url(courier: Make) -> None:
    sender = courier(places=("memory://drops/",))
    assert (await sender.deliver(recording("memory://drops/in"))).sent is Sent.DELIVERED
    for url in (
        "memory://others/in", "memory://drops/../others", "memory://drops/%2e%2e/others", "memory://drops",
        "memory://drops/..#x", "memory://drops/..?x", "memory://drops/..%23x", "memory://drops/..\\others",
    ):  # fmt: skip
        receipt = await sender.deliver(recording(url))
        assert (receipt.sent, "no place" in receipt.error) == (Sent.NEVER, True)
    MemoryFileSystem.store.clear()


async def test_a_user_in_the_url_is_told_to_its_own_host_alone(receiver: Receiver, courier: Make) -> None:
    async with receiving() as other:
        receiver.answers = [web.Response(status=307, headers={"Location": f"{other.url}/there"})]
        receipt = await courier().deliver(recording(f"http://user:p%40ss@127.0.0.1:{receiver.port}/in"))
        assert receipt.sent is Sent.DELIVERED
        told = [heard.headers.get("Authorization") for heard in (*receiver.heard, *other.heard)]
        assert told == ["Basic " + b64encode(b"user:p@ss").decode(), None]


async def test_without_a_url_there_is_nothing_to_do(courier: Make) -> None:
    plain = recording("http://h.example/")
    for lacking in (
        replace(plain, delivery=None),
        replace(plain, media=None),
        replace(plain, options=RecordingOptions()),
    ):
        assert (await courier().deliver(lacking)).sent is Sent.NEVER


async def test_a_cancelled_delivery_lets_go(receiver: Receiver, courier: Make) -> None:
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
        await source.left.wait()
    assert sending.cancelled()


# Other ways than HTTP


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    root = tmp_path / "ftp"
    (root / "in").mkdir(parents=True)
    with ftp_server(root) as port:
        yield port, root


async def test_ftp_is_binary_and_shows_only_whole_files(courier: Make, ftp: tuple[int, Path]) -> None:
    port, root = ftp
    sender = courier(places=("ftp",))
    receipt = await sender.deliver(recording(f"ftp://user:p%40ss@127.0.0.1:{port}/in/"))
    assert receipt.sent is Sent.DELIVERED
    assert {path.name: path.read_bytes() == DATA for path in (root / "in").iterdir()} == {
        "call_recording_call@host.mp3": True
    }


async def test_ftp_that_refuses_is_tried_again_and_shows_no_password(courier: Make, ftp: tuple[int, Path]) -> None:
    port, root = ftp
    sender = courier(places=("ftp",))
    for place in (f"user:hidden@127.0.0.1:{port}/in", f"127.0.0.1:{port}/in", "127.0.0.1:9/in"):
        receipt = await sender.deliver(recording(f"ftp://{place}"))
        assert receipt.sent is Sent.AGAIN
        assert "hidden" not in receipt.error
    refused = await courier(places=("ftp",), guard=Guard()).deliver(recording(f"ftp://127.0.0.1:{port}/in"))
    assert refused.sent is Sent.NEVER
    assert list((root / "in").iterdir()) == []


async def test_wrong_bytes_do_not_go_by_ftp_either(courier: Make, ftp: tuple[int, Path]) -> None:
    port, root = ftp
    sender = courier(Source(DATA[1:]), places=("ftp",))
    receipt = await sender.deliver(recording(f"ftp://user:p%40ss@127.0.0.1:{port}/in"))
    assert (receipt.sent, list((root / "in").iterdir())) == (Sent.AGAIN, [])


@pytest.fixture
def ftps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Path]]:
    root = tmp_path / "ftps"
    (root / "in").mkdir(parents=True)
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with ftp_server(root, certificate) as port:
        yield port, root


async def test_ftps_says_nothing_in_the_clear(courier: Make, ftps: tuple[int, Path]) -> None:
    port, root = ftps
    sender = courier(places=("ftp", "ftps"))
    plain = await sender.deliver(recording(f"ftp://user:p%40ss@127.0.0.1:{port}/in"))
    assert (plain.sent, list((root / "in").iterdir())) == (Sent.AGAIN, [])
    receipt = await sender.deliver(recording(f"ftps://user:p%40ss@127.0.0.1:{port}/in"))
    assert (receipt.sent, receipt.error) == (Sent.DELIVERED, "")
    assert {path.name: path.read_bytes() == DATA for path in (root / "in").iterdir()} == {
        "call_recording_call@host.mp3": True
    }
    refused = await courier(places=("ftps",), guard=Guard()).deliver(recording(f"ftps://127.0.0.1:{port}/in"))
    assert refused.sent is Sent.NEVER


async def test_ftps_to_a_host_with_a_strange_certificate_is_not_spoken(
    courier: Make, ftps: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path / "other.pem")))
    port, root = ftps
    receipt = await courier(places=("ftps",)).deliver(recording(f"ftps://user:p%40ss@127.0.0.1:{port}/in"))
    assert receipt.sent is Sent.AGAIN
    assert "SSLCertVerificationError" in receipt.error
    assert list((root / "in").iterdir()) == []


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    root = tmp_path / "sftp"
    root.mkdir()
    with sftp_server(root) as port:
        yield port, root


async def test_sftp_makes_the_folder_and_shows_only_whole_files(courier: Make, sftp: tuple[int, Path]) -> None:
    port, root = sftp
    sender = courier(places=("sftp",))
    for _ in range(2):
        receipt = await sender.deliver(recording(f"sftp://user:p%40ss@127.0.0.1:{port}/in/to%20day/"))
        assert (receipt.sent, receipt.error) == (Sent.DELIVERED, "")
    assert {path.name: path.read_bytes() == DATA for path in (root / "in" / "to day").iterdir()} == {
        "call_recording_call@host.mp3": True
    }


async def test_no_call_id_leads_out_of_the_folder(courier: Make, sftp: tuple[int, Path]) -> None:
    port, root = sftp
    place = f"sftp://user:p%40ss@127.0.0.1:{port}/drops/"
    sent = replace(recording(f"{place}in"), call_id="x%2F..%2F..%2F..%2Fout")
    assert (await courier(places=(place,)).deliver(sent)).sent is Sent.DELIVERED
    assert [path.relative_to(root).as_posix() for path in root.rglob("*.mp3")] == [
        "drops/in/call_recording_x%2F..%2F..%2F..%2Fout.mp3"
    ]


async def test_sftp_that_refuses_is_tried_again_and_shows_no_password(courier: Make, sftp: tuple[int, Path]) -> None:
    port, root = sftp
    sender = courier(places=("sftp",))
    for place in (f"user:hidden@127.0.0.1:{port}/in", f"127.0.0.1:{port}/in", "user:hidden@127.0.0.1:9/in"):
        receipt = await sender.deliver(recording(f"sftp://{place}"))
        assert receipt.sent is Sent.AGAIN
        assert "hidden" not in receipt.error
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]"])
@pytest.mark.parametrize("scheme", ["ftp", "ftps", "sftp", "ssh"])
async def test_no_other_way_leads_to_the_inside_either(
    courier: Make, sftp: tuple[int, Path], scheme: str, host: str
) -> None:
    port, root = sftp
    url = f"{scheme}://user:p%40ss@{host}:{port}/in"
    receipt = await courier(places=(scheme,), guard=Guard()).deliver(recording(url))
    assert receipt.sent is Sent.NEVER
    assert "not at a public address" in receipt.error
    unlisted = await courier(places=(scheme,), guard=Guard(["files.example.org"])).deliver(recording(url))
    assert unlisted.sent is Sent.NEVER
    assert "not among those that are allowed" in unlisted.error
    assert list(root.iterdir()) == []


async def test_credentials_of_ours_are_for_hosts_that_are_named_with_them(
    courier: Make, sftp: tuple[int, Path]
) -> None:
    port, root = sftp
    login = {"username": "user", "password": "p@ss"}
    url = f"sftp://127.0.0.1:{port}/in"
    anybody = await courier(places=("sftp",), options={"sftp://": login}).deliver(recording(url))
    assert (anybody.sent, list(root.iterdir())) == (Sent.AGAIN, [])
    named = courier(places=("sftp",), options={"sftp://": {}, f"sftp://127.0.0.1:{port}/": login})
    assert (await named.deliver(recording(url))).sent is Sent.DELIVERED


@pytest.mark.parametrize("place", ["webdav", "smb://", "file", "local:///", "github", "nothing", "simplecache://"])
def test_a_scheme_whose_host_nobody_would_look_at_is_no_place_by_itself(courier: Make, place: str) -> None:
    with pytest.raises((ValueError, ImportError), match=place.partition(":")[0]):
        courier(places=("https", place))


async def test_a_place_ends_where_its_name_ends(courier: Make) -> None:
    sender = courier(places=("memory://drops", "https://drops.example.org"))
    for url in (
        "memory://drops-of-others/in", "memory://drops@x/in", "memory://drops:1/in", "memory://dröps/",
        "https://drops.example.org.evil.example/", "https://drops.example.org@evil.example/",
        "https://drops.example.org:8443/", "https://drops.example.org\\@evil.example/",
    ):  # fmt: skip
        receipt = await sender.deliver(recording(url))
        assert (receipt.sent, "no place" in receipt.error) == (Sent.NEVER, True), url
    assert (await sender.deliver(recording("memory://drops"))).sent is Sent.DELIVERED
    MemoryFileSystem.store.clear()


async def test_a_caller_cannot_choose_the_endpoint_of_a_bucket(receiver: Receiver, courier: Make) -> None:
    async with receiving() as decoy:
        options = {
            "endpoint_url": receiver.url,
            "key": "k",
            "secret": "s",
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }
        sender = courier(places=("s3",), options={"s3://": options})
        host = f"127.0.0.1:{decoy.port}"
        refused = (
            f"s3://{host}/b",
            f"s3://bucket@{host}/b",
            "s3://arn:aws:s3:us-east-1:1:accesspoint:x/b",
            "s3://[::1]/b",
            "s3:///b",
        )
        for url in refused:
            assert (await sender.deliver(recording(url))).sent is Sent.NEVER, url
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


async def test_any_store_of_fsspec_can_be_allowed(courier: Make, tmp_path: Path) -> None:
    receipt = await courier(places=("memory",)).deliver(recording("memory://customer/in"))
    assert receipt.sent is Sent.DELIVERED
    store = MemoryFileSystem()
    assert store.cat("/customer/in/call_recording_call@host.mp3") == DATA
    store.store.clear()
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_bucket_of_a_real_store_can_be_allowed(courier: Make, seaweedfs: Answer) -> None:
    options = {"endpoint_url": seaweedfs["s3"], "key": seaweedfs["key"], "secret": seaweedfs["secret"]}
    sender = courier(places=("s3",), options={"s3://": options})
    assert (await sender.deliver(recording(f"s3://{BUCKET}/customer"))).sent is Sent.DELIVERED
    wrong = courier(places=("s3",), options={"s3://": options | {"secret": "hidden"}})
    receipt = await wrong.deliver(recording(f"s3://{BUCKET}/customer"))
    assert receipt.sent is Sent.AGAIN
    assert "hidden" not in receipt.error
