"""Uploads over HTTP with a real server, real files and a real store, and with senders that misbehave."""

import asyncio
import errno
import hashlib
import os
import resource
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from adapters.audio import AudioWorkers
from adapters.media import open_media_store
from adapters.spool.upload_file import BodyWriter
from recordings.model.events import Failed
from recordings.model.recording import EndCause, Reason, Recording, State
from recordings.ports.recording_store import StoreFullError
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.unclear_writes import UnclearWrites
from tests.adapters.recorders.parts import ADDRESS, SECRET, World, world
from tests.faults.real_node import ListReporter

BODY = os.urandom(300_000)
# No request here is encrypted. Without this context, each client would load all CA certificates, which is slow.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PATH = "call_recording_c1%4010.0.0.1.mp3?from=1001%40pbx&to=1002%40pbx&call_id=c1%4010.0.0.1&account_id=kz"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def put(here: World, body: Any = BODY, path: str = PATH, method: str = "PUT", **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30, verify=PLAIN) as client:
        return await client.request(method, f"{here.http}/{path}", content=body, **more)


def spooled(here: World, recording_id: str) -> bytes:
    """Return the part of an upload that is on the disk; empty if the upload has no file yet."""
    return b"".join(path.read_bytes() for path in (here.root / "spool" / recording_id).glob("body.*"))


def set_aside(here: World) -> list[bytes]:
    """Return the contents of all files that were set aside."""
    return [path.read_bytes() for path in (here.root / "aside").glob("*/body.*")]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_kazoo_upload_becomes_a_recording(here: World, method: str) -> None:
    answer = await put(here, method=method)
    (found,) = await here.all()
    assert answer.status_code == 201
    assert answer.json() == {"id": found.id, "state": "FINALIZING"}
    assert (found.state, found.end_cause) == (State.FINALIZING, EndCause.RECEIVED)
    assert (found.call_id, found.from_, found.to) == ("c1@10.0.0.1", "1001@pbx", "1002@pbx")
    assert (found.origin, found.format, found.options.format) == ("inbound from 1001 to 1002", "mp3", None)
    assert found.custom_channel_vars == {"Account-ID": "kz"}
    assert found.source_sha256 == hashlib.sha256(BODY).hexdigest()
    assert found.node == "node-1"
    assert spooled(here, found.id) == BODY
    assert here.notes.woken == 1
    assert here.notes.audit.counted == [("receive", None)]


async def test_the_url_may_have_its_own_query(here: World) -> None:
    async with httpx.AsyncClient(verify=PLAIN) as client:
        address = f"{here.http}?file=call_recording_c9.wav&call_id=c9"
        assert (await client.put(address, content=BODY)).status_code == 201
    (found,) = await here.all()
    assert (found.call_id, found.name) == ("c9", "call_recording_c9.wav")


async def test_the_senders_recording_id_is_kept_if_it_is_unused(here: World) -> None:
    identity = f"202611-{'0' * 31}a"
    first = await put(here, path=f"{PATH}&recording_id={identity}")
    second = await put(here, b"another take", path=f"{PATH}&recording_id={identity}")
    assert first.json()["id"] == identity
    assert second.status_code == 201
    assert second.json()["id"] != identity


async def test_a_retry_returns_the_existing_recording(here: World) -> None:
    first, again = await put(here), await put(here)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    kept = {found.id: (found.state, found.reason) for found in await here.all()}
    assert kept.pop(first.json()["id"]) == (State.FINALIZING, None)
    assert list(kept.values()) == [(State.DISCARDED, Reason.DUPLICATE)]
    assert await here.spool.ids() == [first.json()["id"]]


async def test_two_identical_files_at_once_are_one_recording(here: World) -> None:
    answers = await asyncio.gather(*(put(here) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    states = sorted(found.state.value for found in await here.all())
    assert states == ["DISCARDED"] * 3 + ["FINALIZING"]


async def test_different_bytes_at_the_same_address_are_another_recording(here: World) -> None:
    one, two = await put(here, b"first take"), await put(here, b"second take")
    assert [one.status_code, two.status_code] == [201, 201]
    assert {found.state for found in await here.all()} == {State.FINALIZING}


async def test_an_empty_body_is_discarded(here: World) -> None:
    answer = await put(here, b"")
    (found,) = await here.all()
    assert (answer.status_code, answer.json()["state"]) == (201, "DISCARDED")
    assert found.reason is Reason.EMPTY
    assert await here.spool.ids() == []


@pytest.mark.parametrize(
    ("address", "secret"), [(ADDRESS, "0" * 64), ("0" * 32, SECRET), (ADDRESS, SECRET[:-1]), (SECRET, ADDRESS)]
)
async def test_a_wrong_address_and_a_wrong_secret_look_the_same(here: World, address: str, secret: str) -> None:
    async with httpx.AsyncClient(verify=PLAIN) as client:
        answer = await client.put(f"http://127.0.0.1:{here.port}/ingest/{address}/{secret}/{PATH}", content=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert await here.all() == []


async def test_a_revoked_address_is_rejected(here: World) -> None:
    here.accounts.revoked = True
    assert (await put(here)).status_code == 404


async def test_an_address_without_a_call_id_is_rejected_with_the_reason(here: World) -> None:
    answer = await put(here, path="voice.mp3")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "NOT_AN_UPLOAD")


class Sender:
    """A sender that can stop in the middle of a body."""

    def __init__(self, here: World) -> None:
        self.here = here

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.here.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def head(self, *headers: str) -> None:
        lines = [f"PUT /ingest/{ADDRESS}/{SECRET}/{PATH} HTTP/1.1", "Host: x", *headers, "", ""]
        self.send("\r\n".join(lines).encode())

    async def status(self) -> int:
        line = await asyncio.wait_for(self.reader.readline(), 10)
        return int(line.split()[1]) if line else 0


async def test_an_incomplete_body_is_set_aside_and_can_be_sent_again(here: World) -> None:
    async with Sender(here) as sender:
        sender.head("Content-Length: 300000")
        sender.send(BODY[:100_000])
        await here.until_all(lambda all_: all_ and spooled(here, all_[0].id) == BODY[:100_000])
        sender.writer.transport.abort()
    (broken,) = await here.until_all(lambda all_: all_[0].state is State.FAILED)
    assert broken.reason is Reason.INCOMPLETE
    await here.until(lambda: set_aside(here))
    assert set_aside(here) == [BODY[:100_000]]
    assert await here.spool.ids() == []
    answer = await put(here)
    (whole,) = await here.all()
    assert (answer.status_code, answer.json()["id"]) == (201, broken.id)
    assert (whole.state, whole.reason) == (State.FINALIZING, None)
    assert spooled(here, whole.id) == BODY


async def test_an_upload_that_the_watchdog_gave_up_is_not_confirmed(here: World) -> None:
    async with Sender(here) as sender:
        sender.head(f"Content-Length: {len(BODY)}")
        sender.send(BODY[:1000])
        (opened,) = await here.until_all(lambda all_: all_ and spooled(here, all_[0].id) == BODY[:1000])
        # The watchdog does this after a jump of the clock.
        await RecordingWriter(here.store).save_event(
            opened, Failed(at=opened.modified, reason=Reason.INCOMPLETE, detail="silent")
        )
        sender.send(BODY[1000:])
        assert await sender.status() == 503
    assert set_aside(here) == [BODY]
    assert (await put(here)).status_code == 201
    (whole,) = await here.all()
    assert (whole.id, whole.state, spooled(here, whole.id)) == (opened.id, State.FINALIZING, BODY)


async def test_bytes_reach_the_disk_as_they_arrive(here: World) -> None:
    async with Sender(here) as sender:
        sender.head("Transfer-Encoding: chunked")
        for part in range(1, 6):
            sender.send(b"3e8\r\n" + BODY[:1000] + b"\r\n")
            await here.until_all(partial(_has, here, BODY[:1000] * part))
        (found,) = await here.all()
        assert found.state is State.RECORDING
        sender.send(b"0\r\n\r\n")
        assert await sender.status() == 201


def _has(here: World, expected: bytes, found: list[Recording]) -> bool:
    return bool(found) and spooled(here, found[0].id) == expected


async def test_a_connection_closed_in_the_middle_is_incomplete(here: World) -> None:
    async with Sender(here) as sender:
        sender.head("Content-Length: 300000")
        sender.send(BODY[:-1])
        await sender.writer.drain()
        sender.writer.write_eof()
    (broken,) = await here.until_all(lambda all_: all_ and all_[0].state is State.FAILED)
    assert broken.reason is Reason.INCOMPLETE


async def test_an_idle_upload_times_out(tmp_path: Path) -> None:
    async with world(tmp_path, body_idle=0.2) as here, Sender(here) as sender:
        sender.head("Content-Length: 300000")
        sender.send(BODY[:5000])
        assert await sender.status() == 408
        (broken,) = await here.all()
        assert (broken.state, broken.reason) == (State.FAILED, Reason.INCOMPLETE)
        assert set_aside(here) == [BODY[:5000]]


async def test_a_very_slow_upload_times_out(tmp_path: Path) -> None:
    async with world(tmp_path, body_total=0.5) as here, Sender(here) as sender:
        sender.head("Content-Length: 300000")

        async def drip() -> None:
            while True:
                sender.send(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await sender.status() == 408
        dripping.cancel()
        (broken,) = await here.all()
        assert (broken.reason, broken.reason_detail) == (Reason.INCOMPLETE, "the upload took too long")


async def test_a_content_length_over_the_limit_is_rejected_before_the_body_is_sent(tmp_path: Path) -> None:
    async with world(tmp_path, max_body=1000) as here:
        async with Sender(here) as sender:
            sender.head("Content-Length: 1001", "Expect: 100-continue")
            assert await sender.status() == 413
        assert await here.all() == []


async def test_a_body_of_exactly_the_limit_is_accepted(tmp_path: Path) -> None:
    async with world(tmp_path, max_body=1000) as here:
        assert (await put(here, BODY[:1000])).status_code == 201
        assert (await put(here, BODY[:1001])).status_code == 413


async def test_a_chunked_body_over_the_limit_leaves_nothing(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield BODY[:10_000]

    async with world(tmp_path, max_body=100_000) as here:
        assert (await put(here, chunks())).status_code == 413
        assert await here.all() == []
        assert await here.spool.ids() == []
        assert set_aside(here) == []


async def test_a_retry_over_the_limit_keeps_the_earlier_failed_recording(tmp_path: Path) -> None:
    async with world(tmp_path, max_body=100_000, body_idle=0.2) as here:
        async with Sender(here) as sender:
            sender.head("Content-Length: 90000")
            sender.send(b"x")
            assert await sender.status() == 408

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield BODY[:10_000]

        assert (await put(here, chunks())).status_code == 413
        (kept,) = await here.all()
        assert (kept.state, kept.reason) == (State.FAILED, Reason.INCOMPLETE)


async def test_expect_100_continue_is_answered(here: World) -> None:
    async with Sender(here) as sender:
        sender.head("Content-Length: 5", "Expect: 100-continue")
        assert await sender.status() == 100
        await sender.reader.readline()
        sender.send(b"hello")
        assert await sender.status() == 201


async def test_uploads_over_the_limit_get_retry_after(tmp_path: Path) -> None:
    async with world(tmp_path, max_uploads=1) as here, Sender(here) as sender:
        sender.head("Content-Length: 10")
        sender.send(b"x")
        await here.until_all(len)
        answer = await put(here)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        sender.send(b"x" * 9)
        assert await sender.status() == 201
        assert (await put(here)).status_code == 201


async def test_an_account_cannot_take_all_uploads(tmp_path: Path) -> None:
    async with world(tmp_path, max_uploads=4, account_share=50) as here, Sender(here) as one, Sender(here) as two:
        for sender in (one, two):
            sender.head("Content-Length: 10")
            sender.send(b"x")
        await here.until_all(lambda all_: len(all_) == 2)
        answer = await put(here)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        assert answer.json()["error"]["code"] == "BUSY"
        assert "--account-share" in answer.json()["error"]["message"]
        one.send(b"x" * 9)
        assert await one.status() == 201
        assert (await put(here)).status_code == 201


@pytest.mark.parametrize("head", ["Content-Length: 300000", "Transfer-Encoding: chunked"])
async def test_a_slow_upload_is_broken_off(tmp_path: Path, head: str) -> None:
    async with world(tmp_path, min_speed=1_000, speed_window=0.5) as here, Sender(here) as sender:
        sender.head(head)
        trickle = b"1\r\nx\r\n" if "chunked" in head else b"x"

        async def send_slowly() -> None:
            while True:
                sender.send(trickle)
                await asyncio.sleep(0.05)

        sending = asyncio.create_task(send_slowly())
        assert await sender.status() == 408
        sending.cancel()
        (broken,) = await here.until_all(lambda all_: all_[0].state is State.FAILED)
        assert "1000 bytes per second" in str(broken.reason_detail)


async def test_a_sender_that_is_silent_within_its_average_speed_is_not_slow(tmp_path: Path) -> None:
    async with world(tmp_path, min_speed=1_000, speed_window=0.3, body_idle=20) as here, Sender(here) as sender:
        sender.head("Content-Length: 300000")
        sender.send(BODY[:200_000])
        await here.until_all(lambda all_: all_ and spooled(here, all_[0].id) == BODY[:200_000])
        await asyncio.sleep(0.5)
        sender.send(BODY[200_000:])
        assert await sender.status() == 201


async def test_uploads_of_one_account_leave_a_part_of_the_disk(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def free_bytes() -> int:
        return 2_000_000

    monkeypatch.setattr(here.spool, "free_bytes", free_bytes)
    assert (await put(here)).status_code == 201
    answer = await put(here, bytes(1_950_000), f"{PATH}&x=1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    monkeypatch.setattr("adapters.recorders.embedded.uploads.MIN_FREE", 0)
    answer = await put(here, bytes(1_950_000), f"{PATH}&x=1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "DISK_SHARE")


async def test_a_full_disk_is_reported_and_the_retry_succeeds(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(BodyWriter, "_append", full)
        answer = await put(here)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    (broken,) = await here.all()
    assert broken.reason is Reason.INCOMPLETE
    assert (await put(here)).json()["id"] == broken.id


async def test_a_store_that_fails_at_the_end_is_an_error(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from recordings.use_cases.ingest import Ingest

    async def fail(*_: object) -> None:
        raise ConnectionError("the store is unreachable")

    with monkeypatch.context() as patched:
        patched.setattr(Ingest, "finish", fail)
        assert (await put(here)).status_code == 500
    assert (await put(here)).status_code == 201
    (found,) = await here.all()
    assert found.state is State.FINALIZING


async def test_an_upload_fails_once_the_store_is_back_if_store_and_disk_were_full(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(BodyWriter, "_append", full)
        patched.setattr(here.store, "save", store_is_full)
        assert (await put(here)).status_code == 503
    (left,) = await here.all()
    assert left.state is State.RECORDING
    await undo(here)
    (broken,) = await here.all()
    assert (broken.state, broken.reason) == (State.FAILED, Reason.INCOMPLETE)
    assert (await here.spool.ids(), await here.spool.ids_aside()) == ([], [broken.id])
    assert (await put(here)).json()["id"] == broken.id
    # The sender has sent it again: what was to be undone is no more.
    await undo(here)
    assert [each.state for each in await here.all()] == [State.FINALIZING]


async def test_a_refused_upload_is_removed_once_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield BODY

    async with world(tmp_path, max_body=len(BODY) - 1) as here:
        with monkeypatch.context() as patched:
            patched.setattr(here.store, "remove", store_is_full)
            assert (await put(here, chunks())).status_code == 413
        assert len(await here.all()) == 1
        await undo(here)
        assert await here.all() == []


async def store_is_full(*_: object) -> None:
    raise StoreFullError("the disk of the SQLite file is full")


async def undo(here: World) -> None:
    """Do what the background work does before a claim."""
    parts: Any = {"store": here.store, "clock": here.clock}
    media, workers = open_media_store(None, here.root), AudioWorkers(here.root / "work")
    finalizer = Finalizer(media=media, spool=here.spool, audio_processor=workers, audit=here.notes.audit, **parts)
    unclear = UnclearWrites(finalizer=finalizer, reporter=ListReporter(), node="node-1", **parts)
    for recording in here.to_undo:
        unclear.undo_later(recording)
    await unclear.resolve(())


async def test_a_server_shutdown_marks_the_upload_as_incomplete(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        async with Sender(here) as sender:
            sender.head("Content-Length: 300000")
            sender.send(BODY[:100])
            await here.until_all(lambda all_: all_ and spooled(here, all_[0].id))
            here.server.should_exit = True
            (broken,) = await here.until_all(lambda all_: all_[0].state is State.FAILED)
        assert broken.reason is Reason.INCOMPLETE


async def test_a_large_file_is_never_completely_in_memory(here: World) -> None:
    size, piece = 100_000_000, bytes(1_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece

    await put(here, b"warm up")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await put(here, pieces(), path="call_recording_big.wav")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert answer.status_code == 201
    # The sender runs in this process, so its chunks count, too.
    assert grown < 16_000
