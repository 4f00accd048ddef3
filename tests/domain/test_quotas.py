"""The quotas of an account: what counts, at which number a request is refused, and what is never refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.errors import Forbidden, QuotaExceeded
from recordings.model.instants import DAY, SECOND
from recordings.model.quota import Quota
from recordings.model.recording import Media, Recording, State
from recordings.use_cases.quotas import FRESH, Quotas
from recordings.use_cases.start import StartRequest
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, CHILD, NODE, Installation, open_installation, principal


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as opened:
        yield opened


async def account_of(installation: Installation, account_id: str = ACCOUNT) -> Account:
    account = await installation.store.account(account_id)
    assert account is not None
    return account


async def limit(installation: Installation, **quota: int) -> None:
    account = await account_of(installation)
    await installation.store.save_account(replace(account, quota=Quota(**quota)))


async def stored(
    installation: Installation, number: int, *, age: int = 0, size: int = 1_000, seconds: int = 60
) -> None:
    at = installation.clock.now() - age
    media = Media("local:x", "audio/mpeg", size, seconds * SECOND, 8_000, 1, "00", at)
    await installation.store.insert(
        Recording(
            id=f"202611-{number:032x}",
            account_id=ACCOUNT,
            state=State.STORED,
            start=at,
            created=at,
            modified=at,
            call_id=f"call-{number}",
            from_="a@b",
            to="c@d",
            duration_ms=seconds * SECOND,
            media=media,
        )
    )


def quotas(installation: Installation, *calls: Call) -> Quotas:
    return Quotas(installation.store, installation.clock, MemoryAudit(), lambda: calls)


def call(installation: Installation, name: str, account_id: str = ACCOUNT) -> Call:
    return Call(account_id=account_id, call_id=name, started=installation.clock.now())


async def test_the_usage_counts_all_bytes_and_the_recordings_of_this_day(installation: Installation) -> None:
    installation.clock.move(-(installation.clock.now() % DAY) + DAY // 2)
    await stored(installation, 1)
    await stored(installation, 2, size=500, seconds=30)
    await stored(installation, 3, age=DAY, size=7)
    with quotas(installation).upload(ACCOUNT):
        checked = quotas(installation, call(installation, "a"), call(installation, "b", CHILD))
        usage = await checked.usage(principal())
    assert (usage.bytes, usage.recordings_per_day, usage.decoding_seconds) == (1_507, 2, 90)
    assert (usage.streams, usage.uploads) == (1, 0)
    await installation.service.delete(principal(), f"202611-{1:032x}")
    assert (await quotas(installation).usage(principal())).bytes == 1_507
    assert (await checked.usage(principal(CHILD))).recordings_per_day == 0


async def test_a_purge_makes_no_room_on_the_same_day(installation: Installation) -> None:
    installation.clock.move(-(installation.clock.now() % DAY) + DAY // 2)
    await stored(installation, 1)
    found = await installation.store.load(f"202611-{1:032x}")
    assert found is not None
    gone = replace(found, state=State.PURGED, media=None, revision=found.revision + 1)
    assert await installation.store.save(gone, found.revision)
    usage = await quotas(installation).usage(principal())
    assert (usage.bytes, usage.recordings_per_day) == (0, 1)


@pytest.mark.parametrize("kind", ["bytes", "recordings_per_day", "decoding_seconds"])
async def test_a_used_up_quota_refuses_starts(installation: Installation, kind: str) -> None:
    await stored(installation, 1, size=60, seconds=60)
    used = {"bytes": 60, "recordings_per_day": 1, "decoding_seconds": 60}[kind]
    await limit(installation, **{kind: used})
    installation.recorder.ring(ACCOUNT, "live")
    with pytest.raises(QuotaExceeded, match=f"quota `{kind}` of the account is used up: {used} of {used}") as refused:
        await installation.service.start(principal(), StartRequest(call_id="live"))
    assert refused.value.code == "QUOTA_EXCEEDED"
    assert installation.recorder.commands == []
    await limit(installation, **{kind: used + 1})
    started = await installation.service.start(principal(), StartRequest(call_id="live"))
    assert started.in_progress


async def test_recordings_that_were_just_accepted_count(installation: Installation) -> None:
    await limit(installation, recordings_per_day=3)
    checked = quotas(installation)
    for _ in range(3):
        await checked.require_recording(await account_of(installation))
    account = await account_of(installation)
    with pytest.raises(QuotaExceeded, match="3 of 3"):
        await checked.require_recording(account)
    # None of them was stored in the end.
    installation.clock.move(FRESH)
    await checked.require_recording(account)


async def test_uploads_are_counted_while_they_are_received(installation: Installation) -> None:
    await limit(installation, uploads=2)
    checked = quotas(installation)
    account = await account_of(installation)
    with checked.upload(ACCOUNT), checked.upload(ACCOUNT):
        checked.require_upload(account)
        with (
            checked.upload(ACCOUNT),
            pytest.raises(QuotaExceeded, match="uploads` of the account is used up: 2 of 2"),
        ):
            checked.require_upload(account)
        with checked.upload(CHILD):
            checked.require_upload(await account_of(installation, CHILD))
            assert (await checked.usage_of(ACCOUNT)).uploads == 2
    with checked.upload(ACCOUNT):
        assert (await checked.usage_of(ACCOUNT)).uploads == 1


async def test_a_stream_that_comes_back_needs_no_second_place(installation: Installation) -> None:
    await limit(installation, streams=1)
    checked = quotas(installation, call(installation, "one"))
    with pytest.raises(QuotaExceeded, match="streams"):
        await checked.require_stream(call(installation, "two"))
    await checked.require_stream(call(installation, "one"))
    await checked.require_stream(call(installation, "two", CHILD))


async def test_a_quota_of_zero_refuses_everything_and_no_quota_nothing(installation: Installation) -> None:
    await quotas(installation).require_recording(await account_of(installation))
    await limit(installation, recordings_per_day=0)
    account = await account_of(installation)
    with pytest.raises(QuotaExceeded, match="0 of 0"):
        await quotas(installation).require_recording(account)


async def test_one_owner_cannot_read_quotas(installation: Installation) -> None:
    for read in (quotas(installation).quota, quotas(installation).usage):
        with pytest.raises(Forbidden):
            await read(principal(owner_id="ada"))


async def test_a_policy_over_quota_records_nothing_and_says_why(installation: Installation) -> None:
    await limit(installation, recordings_per_day=0)
    live = installation.recorder.ring(ACCOUNT, "live", record=True, node=NODE)
    await installation.policy.starts.apply_now(live.account_id)
    assert installation.recorder.commands == []
    assert installation.audit.refusals == [("start", "live")]
