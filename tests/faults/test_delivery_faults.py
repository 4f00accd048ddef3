"""Faults of receivers: each attempt has a clear result, it is repeated, and a partial file never counts as complete."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.delivery import UrlCourier
from adapters.net import Guard, Limits
from recordings.model.options import RecordingOptions
from recordings.model.recording import Delivery, DeliveryState, Media, Recording
from recordings.ports.courier import DeliveryOutcome
from tests.adapters.delivery.receiver import Receiver, receiving
from tests.contract.metadata.samples import NOW
from tests.contract.metadata.samples import recording as sample
from tests.servers.faulty_proxy import Act, Fault, FaultProxy, answer, breaking, s3_error
from tests.servers.seaweedfs import BUCKET
from tests.servers.sftp_server import sftp_server
from tests.servers.shared_server import Address
from tests.support.full_disk import limited_file_size

DATA = os.urandom(3_000_000)
NAME = "call_recording_call@host.mp3"
LOOPBACK = Guard(private=["127.0.0.1"])


async def read(_url: str) -> AsyncIterator[bytes]:
    for start in range(0, len(DATA), 250_000):
        yield DATA[start : start + 250_000]


def recording(url: str) -> Recording:
    media = Media("local:x", "audio/mpeg", len(DATA), 1_000, 8_000, 1, hashlib.sha256(DATA).hexdigest(), NOW)
    delivery = Delivery("d" * 32, DeliveryState.PENDING, NOW)
    return sample(options=RecordingOptions(url=url, method="put"), media=media, delivery=delivery, call_id="call@host")


def make(folder: Path, **options: Any) -> UrlCourier:
    limits = options.pop("limits", Limits(idle=2.5, total=60.0))
    return UrlCourier(read, LOOPBACK, folder / "work", limits=limits, prefixes=("http", "sftp", "s3"), **options)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def courier(tmp_path: Path) -> AsyncIterator[UrlCourier]:
    made = make(tmp_path)
    yield made
    await made.close()


async def sent_again(courier: UrlCourier, proxy: FaultProxy, receiver: Receiver) -> None:
    """Check that the next attempt succeeds, with the same delivery id as all earlier attempts."""
    proxy.faults = []
    assert (await courier.deliver(recording(proxy.url))).outcome is DeliveryOutcome.DELIVERED
    assert receiver.heard[-1].body == DATA
    assert {heard.headers["Recording-Delivery-Id"] for heard in receiver.heard} == {"d" * 32}


@pytest.mark.parametrize("at", [0, 100_000, 2_000_000])
async def test_a_delivery_is_repeated_after_a_reset_of_the_request(
    courier: UrlCourier, receiver: Receiver, at: int
) -> None:
    async with breaking(receiver.port, Fault(Act.RESET_REQUEST, b"PUT ", at=at)) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert (result.outcome, receiver.heard, proxy.hits) == (DeliveryOutcome.RETRY, [], 1)
        assert "the connection to the server failed" in result.error
        await sent_again(courier, proxy, receiver)
        assert len(receiver.heard) == 1


@pytest.mark.parametrize("act", [Act.RESET, Act.CUT, Act.STALL])
async def test_after_a_lost_response_the_receiver_gets_the_delivery_again_with_the_same_id(
    courier: UrlCourier, receiver: Receiver, act: Act
) -> None:
    async with breaking(receiver.port, Fault(act, b"PUT ")) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert result.outcome is DeliveryOutcome.RETRY
        assert [heard.body == DATA for heard in receiver.heard] == [True]
        await sent_again(courier, proxy, receiver)
        assert len(receiver.heard) == 2


async def test_an_attempt_ends_if_the_receiver_stops_reading(tmp_path: Path, receiver: Receiver) -> None:
    courier = make(tmp_path, limits=Limits(idle=60.0, total=2.0))
    async with breaking(receiver.port, Fault(Act.STALL_REQUEST, b"PUT ")) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert (result.outcome, receiver.heard) == (DeliveryOutcome.RETRY, [])
        assert "timeout" in result.error
    await courier.close()


@pytest.mark.parametrize(
    "response",
    [answer("500 Sorry"), answer("401 Unauthorized"), answer("507 Insufficient Storage"), b"garbage\r\n\r\n", b""],
)
async def test_a_delivery_succeeds_after_an_error_response(
    courier: UrlCourier, receiver: Receiver, response: bytes
) -> None:
    async with breaking(receiver.port, Fault(Act.ANSWER, b"PUT ", answer=response)) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert (result.outcome, receiver.heard) == (DeliveryOutcome.RETRY, [])
        assert result.error
        await sent_again(courier, proxy, receiver)


async def test_a_broken_sftp_transfer_shows_no_partial_file(courier: UrlCourier, tmp_path: Path) -> None:
    root = tmp_path / "sftp"
    root.mkdir()
    with sftp_server(root) as port:
        async with breaking(port, Fault(Act.RESET_REQUEST, b"SSH-2.0", at=1_000_000)) as proxy:
            url = f"sftp://user:p%40ss@127.0.0.1:{proxy.port}/in"
            result = await courier.deliver(recording(url))
            assert (result.outcome, proxy.hits) == (DeliveryOutcome.RETRY, 1)
            assert NAME not in {path.name for path in root.rglob("*")}
            assert (await courier.deliver(recording(url))).outcome is DeliveryOutcome.DELIVERED
            assert (root / "in" / NAME).read_bytes() == DATA


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Act.RESET_REQUEST, b"PUT ", at=1_000_000, times=99),
        Fault(Act.ANSWER, b"PUT ", answer=s3_error("403 Forbidden", "ExpiredToken"), times=99),
        Fault(Act.ANSWER, b"PUT ", answer=s3_error("507 Insufficient Storage", "InternalError"), times=99),
    ],
    ids=["reset", "expired", "full"],
)
async def test_a_delivery_to_s3_succeeds_after_an_error(tmp_path: Path, seaweedfs: Address, fault: Fault) -> None:
    async with breaking(urlsplit(seaweedfs["s3"]).port or 0, fault) as proxy:
        options = {
            "endpoint_url": proxy.url, "key": seaweedfs["key"], "secret": seaweedfs["secret"],
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }  # fmt: skip
        courier = make(tmp_path, options={"s3://": options})
        url = f"s3://{BUCKET}/drops/{uuid.uuid4().hex}"
        result = await courier.deliver(recording(url))
        assert result.outcome is DeliveryOutcome.RETRY
        assert proxy.hits
        assert seaweedfs["secret"] not in result.error
        proxy.faults = []
        assert (await courier.deliver(recording(url))).outcome is DeliveryOutcome.DELIVERED
        await courier.close()


async def test_a_full_disk_of_this_server_is_not_reported_as_a_fault_of_the_receiver(
    courier: UrlCourier, tmp_path: Path
) -> None:
    root = tmp_path / "sftp"
    root.mkdir()
    with sftp_server(root) as port:
        url = f"sftp://user:p%40ss@127.0.0.1:{port}/in"
        with limited_file_size(1 << 20):
            result = await courier.deliver(recording(url))
        assert (result.outcome, result.error) == (
            DeliveryOutcome.RETRY,
            "no temporary copy can be made: File too large",
        )
        assert list(root.iterdir()) == []
        assert (await courier.deliver(recording(url))).outcome is DeliveryOutcome.DELIVERED
    assert await asyncio.to_thread(lambda: list((tmp_path / "work").iterdir())) == []
