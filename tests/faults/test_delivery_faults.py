"""Receivers that break: whatever happens, it is told, it is tried again, and nothing half is taken for whole."""

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
from tests.servers.shared import Answer
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


def make(folder: Path, **given: Any) -> UrlCourier:
    limits = given.pop("limits", Limits(idle=2.5, total=60.0))
    return UrlCourier(read, LOOPBACK, folder / "work", limits=limits, prefixes=("http", "sftp", "s3"), **given)


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
    """The next attempt arrives, under the same id as any before it."""
    proxy.faults = []
    assert (await courier.deliver(recording(proxy.url))).outcome is DeliveryOutcome.DELIVERED
    assert receiver.heard[-1].body == DATA
    assert {heard.headers["Recording-Delivery-Id"] for heard in receiver.heard} == {"d" * 32}


@pytest.mark.parametrize("at", [0, 100_000, 2_000_000])
async def test_a_request_that_is_reset_in_its_middle_is_made_again(
    courier: UrlCourier, receiver: Receiver, at: int
) -> None:
    async with breaking(receiver.port, Fault(Act.RESET_REQUEST, b"PUT ", at=at)) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert (result.outcome, receiver.heard, proxy.befallen) == (DeliveryOutcome.RETRY, [], 1)
        assert "the connection to the server failed" in result.error
        await sent_again(courier, proxy, receiver)
        assert len(receiver.heard) == 1


@pytest.mark.parametrize("act", [Act.RESET, Act.CUT, Act.STALL])
async def test_an_answer_that_is_lost_makes_it_come_twice_under_one_id(
    courier: UrlCourier, receiver: Receiver, act: Act
) -> None:
    async with breaking(receiver.port, Fault(act, b"PUT ")) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert result.outcome is DeliveryOutcome.RETRY
        assert [heard.body == DATA for heard in receiver.heard] == [True]
        await sent_again(courier, proxy, receiver)
        assert len(receiver.heard) == 2


async def test_a_receiver_that_takes_no_more_is_given_up(tmp_path: Path, receiver: Receiver) -> None:
    courier = make(tmp_path, limits=Limits(idle=60.0, total=2.0))
    async with breaking(receiver.port, Fault(Act.STALL_REQUEST, b"PUT ")) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert (result.outcome, receiver.heard) == (DeliveryOutcome.RETRY, [])
        assert "timeout" in result.error
    await courier.close()


@pytest.mark.parametrize(
    "said",
    [answer("500 Sorry"), answer("401 Unauthorized"), answer("507 Insufficient Storage"), b"garbage\r\n\r\n", b""],
)
async def test_whatever_it_says_first_it_gets_it_when_it_is_well(
    courier: UrlCourier, receiver: Receiver, said: bytes
) -> None:
    async with breaking(receiver.port, Fault(Act.ANSWER, b"PUT ", answer=said)) as proxy:
        result = await courier.deliver(recording(proxy.url))
        assert (result.outcome, receiver.heard) == (DeliveryOutcome.RETRY, [])
        assert result.error
        await sent_again(courier, proxy, receiver)


async def test_sftp_that_breaks_off_shows_nothing_half(courier: UrlCourier, tmp_path: Path) -> None:
    root = tmp_path / "sftp"
    root.mkdir()
    with sftp_server(root) as port:
        async with breaking(port, Fault(Act.RESET_REQUEST, b"SSH-2.0", at=1_000_000)) as proxy:
            url = f"sftp://user:p%40ss@127.0.0.1:{proxy.port}/in"
            result = await courier.deliver(recording(url))
            assert (result.outcome, proxy.befallen) == (DeliveryOutcome.RETRY, 1)
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
async def test_a_bucket_that_breaks_has_it_when_it_is_well(tmp_path: Path, seaweedfs: Answer, fault: Fault) -> None:
    async with breaking(urlsplit(seaweedfs["s3"]).port or 0, fault) as proxy:
        options = {
            "endpoint_url": proxy.url, "key": seaweedfs["key"], "secret": seaweedfs["secret"],
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }  # fmt: skip
        courier = make(tmp_path, options={"s3://": options})
        url = f"s3://{BUCKET}/drops/{uuid.uuid4().hex}"
        result = await courier.deliver(recording(url))
        assert result.outcome is DeliveryOutcome.RETRY
        assert proxy.befallen
        assert seaweedfs["secret"] not in result.error
        proxy.faults = []
        assert (await courier.deliver(recording(url))).outcome is DeliveryOutcome.DELIVERED
        await courier.close()


async def test_a_full_disk_of_ours_is_not_the_receivers_fault(courier: UrlCourier, tmp_path: Path) -> None:
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
