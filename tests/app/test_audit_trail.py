"""The writer of the audit trail: chains, counted reads, plays, and times in which the store cannot be written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.metadata.sqlite import SqliteStore
from graph.server import audit_queue, play_sessions
from graph.server.audit_queue import AuditQueue
from graph.server.audit_trail import AuditTrail
from graph.server.request_origin import begin_command, begin_request
from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import (
    ActorKind,
    AuditAction,
    AuditEntry,
    AuditFilter,
    AuditObject,
    AuditOutcome,
    ChainName,
    Link,
    StoredEntry,
    Way,
)
from recordings.model.errors import Forbidden, OnHold
from recordings.model.recording import Media, Recording, State
from recordings.ports.audit import AuditUnavailableError, list_object, recording_object
from recordings.rules.audit_chain import problem_of, read_entry
from recordings.use_cases.playback import Playback
from tests.support.fake_clock import FakeClock

ACCOUNT, OTHER = "a" * 32, "b" * 32
CALLER = Principal(ACCOUNT, frozenset(Scope), "ada", "app", token_id="t1")
PLAYED = Recording(
    id="202611-1",
    account_id=ACCOUNT,
    state=State.STORED,
    start=0,
    created=0,
    modified=0,
    call_id="c",
    from_="4930@x",
    to="b@x",
    media=Media("local:x", "audio/mpeg", 1_000, 20_000, 8_000, 1, "00", 0),
)
SCOPE = {
    "type": "http",
    "path": "/v2/accounts",
    "client": ("10.0.0.9", 1),
    "headers": [(b"user-agent", b"curl/8\x01")],
}


class BreakableStore(SqliteStore):
    """A store whose audit entries cannot be written while `broken` is set."""

    broken = False
    batches: list[int]

    async def append_entries(self, entries: Sequence[StoredEntry]) -> None:
        if self.broken:
            raise OSError("no disk")
        self.batches.append(len(entries))
        await super().append_entries(entries)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[BreakableStore]:
    made = BreakableStore(tmp_path)
    made.batches = []
    await made.open()
    yield made
    await made.close()


def trail_on(store: SqliteStore, *, strict: bool = False, writer: str = "n1") -> AuditTrail:
    return AuditTrail(AuditQueue(store, FakeClock(), writer, strict=strict), FakeClock())


async def entries(store: SqliteStore, account: str = ACCOUNT, writer: str = "n1") -> list[AuditEntry]:
    found = await store.chain_entries(ChainName(account, writer), 0)
    before = Link()
    for each in found:
        assert problem_of(each, before) is None
        before = each.link
    return [read_entry(each) for each in found]


async def test_an_entry_says_who_what_when_where_and_how(store: BreakableStore) -> None:
    trail = trail_on(store)

    async def request() -> None:
        begin_request(SCOPE, "r1")
        await trail.record(CALLER, AuditAction.DELETE, recording_object(PLAYED), node="x")

    await asyncio.create_task(request())
    (found,) = await entries(store)
    assert (found.actor.kind, found.actor.id, found.actor.token_id, found.actor.name) == ("OWNER", "ada", "t1", "app")
    assert (found.origin.way, found.origin.ip, found.origin.user_agent) == (Way.REST, "10.0.0.9", "curl/8?")
    assert (found.origin.request_id, found.action, found.object.id) == ("r1", AuditAction.DELETE, PLAYED.id)
    assert (found.outcome, found.details) == (AuditOutcome.GRANTED, {"node": "x"})


async def test_tokens_without_an_owner_are_told_apart(store: BreakableStore) -> None:
    trail = trail_on(store)
    callers: list[dict[str, Any]] = [{}, {"token_id": "t2"}, {"key_id": "k1"}, {"user_id": "u1"}]
    for values in callers:
        trail.count(replace(CALLER, owner_id=None, **values), AuditAction.READ, AuditObject("x"))
    await trail.flush()
    actors = [(each.actor.kind, each.actor.id) for each in await entries(store)]
    assert actors == [
        (ActorKind.TOKEN, "t1"), (ActorKind.TOKEN, "t2"), (ActorKind.KEY, "k1"), (ActorKind.USER, "u1")
    ]  # fmt: skip


async def test_reads_of_a_second_are_one_entry(store: BreakableStore) -> None:
    trail = trail_on(store)

    async def request(rows: int) -> None:
        begin_request(SCOPE, f"r{rows}")
        trail.count(CALLER, AuditAction.LIST, list_object(ACCOUNT), rows=rows)

    for rows in (50, 20):
        await asyncio.create_task(request(rows))
    trail.count(CALLER, AuditAction.READ, recording_object(PLAYED))
    await trail.flush()
    found = await entries(store)
    assert [(each.action, each.details) for each in found] == [
        (AuditAction.LIST, {"requests": 2, "rows": 70}), (AuditAction.READ, {"requests": 1})
    ]  # fmt: skip


async def test_a_refusal_is_in_the_trail_of_the_caller(store: BreakableStore) -> None:
    trail = trail_on(store)
    for _ in range(3):
        trail.refuse(CALLER, AuditAction.PLAY, AuditObject("recording", "x\ud800", OTHER), Forbidden("no"))
    trail.refuse(CALLER, AuditAction.DELETE, AuditObject("recording", "y", OTHER), OnHold("held"))
    await trail.flush()
    (denied,) = await entries(store)
    assert (denied.outcome, denied.object.id, denied.object.account_id) == (AuditOutcome.DENIED, "x?", ACCOUNT)
    assert denied.details == {"reason": "FORBIDDEN", "requests": 3}
    (failed,) = await entries(store, OTHER)
    assert (failed.outcome, failed.details["reason"]) == (AuditOutcome.FAILED, "ON_HOLD")


async def test_a_command_is_done_by_the_operator(store: BreakableStore) -> None:
    async def command() -> None:
        begin_command()
        await trail_on(store).record(CALLER, AuditAction.KEY, AuditObject("key", "k"))

    await asyncio.create_task(command())
    (found,) = await entries(store)
    assert (found.actor.kind, found.origin.way) == (ActorKind.OPERATOR, Way.CLI)


async def test_waiting_entries_are_written_together(store: BreakableStore) -> None:
    trail = trail_on(store)
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(trail.record(CALLER, AuditAction.PLAY, AuditObject("recording", f"{number}")))
    assert len(await entries(store)) == sum(store.batches) == 50
    assert len(store.batches) <= 2


async def test_two_writers_of_one_chain_lose_and_repeat_nothing(store: BreakableStore) -> None:
    both = trail_on(store), trail_on(store)
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            for trail in both:
                group.create_task(trail.record(CALLER, AuditAction.PLAY, AuditObject("recording", f"{number}")))
    assert len(await entries(store)) == 40


async def test_a_known_entry_is_written_once(store: BreakableStore) -> None:
    trail = trail_on(store)
    for _ in range(2):
        await trail.record(CALLER, AuditAction.DELETE, recording_object(PLAYED), entry_id="same")
    await asyncio.gather(
        *(trail.record(CALLER, AuditAction.DELETE, recording_object(PLAYED), entry_id="other") for _ in range(3))
    )
    (first, second) = await entries(store)
    assert (first.id, second.id) == ("same", "other")
    # A second line in the log would be a second action for its reader.
    queue = AuditQueue(store, FakeClock(), "n2", strict=False)
    third = replace(first, id="third")
    assert await asyncio.gather(*map(queue.add, (first, third, third))) == [False, True, False]


async def test_a_strict_trail_refuses_while_it_cannot_be_written(store: BreakableStore) -> None:
    trail = trail_on(store, strict=True)
    store.broken = True
    for _ in range(2):
        with pytest.raises(AuditUnavailableError):
            await trail.record(CALLER, AuditAction.DELETE, recording_object(PLAYED))
    trail.count(CALLER, AuditAction.READ, recording_object(PLAYED))
    store.broken = False
    await trail.close()
    assert [each.action for each in await entries(store)] == [AuditAction.READ]
    (gap,) = await entries(store, "")
    assert (gap.action, gap.details["lost"], gap.details["strict"]) == (AuditAction.GAP, 0, True)


async def test_a_lenient_trail_writes_later_and_says_what_was_lost(
    store: BreakableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_queue, "MAX_WAITING", 5)
    trail = trail_on(store)
    store.broken = True
    for number in range(8):
        await trail.record(CALLER, AuditAction.PLAY, AuditObject("recording", f"{number}"))
    store.broken = False
    await trail.close()
    assert [each.object.id for each in await entries(store)] == ["3", "4", "5", "6", "7"]
    (gap,) = await entries(store, "")
    assert (gap.action, gap.outcome, gap.details["lost"]) == (AuditAction.GAP, AuditOutcome.FAILED, 3)


async def test_an_entry_whose_write_was_not_confirmed_is_not_repeated(store: BreakableStore) -> None:
    trail = trail_on(store)
    append = store.append_entries

    async def unconfirmed(given: Sequence[StoredEntry]) -> None:
        await append(given)
        store.append_entries = append  # type: ignore[method-assign]
        raise TimeoutError

    store.append_entries = unconfirmed  # type: ignore[method-assign, assignment]
    await trail.record(CALLER, AuditAction.PLAY, recording_object(PLAYED))
    await trail.close()
    assert len(await entries(store)) == 1


# Plays


async def audio(_url: str, start: int = 0, end: int | None = None) -> Any:
    for at in range(start, 1_000 if end is None else end, 100):
        yield b"x" * min(100, (1_000 if end is None else end) - at)


async def heard(trail: AuditTrail, start: int = 0, end: int | None = None, pieces: int = 99, **values: Any) -> None:
    """Send audio to a player that takes some pieces."""
    playback = Playback(PLAYED, values.get("caller", CALLER), trail, values.get("way"))
    stream: Any = playback.audio(audio, download=values.get("download", False))("local:x", start, end)
    async for _ in stream:
        pieces -= 1
        if not pieces:
            break
    await stream.aclose()


async def plays(store: SqliteStore) -> list[tuple[Any, ...]]:
    found = {each.id: each for each in await entries(store)}
    return [
        (each.action, each.origin.way, end.details["seconds"], end.details["ranges"])
        for each in found.values()
        if (end := found.get(f"{each.id}-end")) is not None
    ]


async def test_the_requests_of_one_player_are_one_play(store: BreakableStore) -> None:
    trail = trail_on(store)
    await heard(trail, 0, pieces=3)
    await heard(trail, 700, 900)
    await heard(trail, 100, 400)
    await trail.close()
    # A piece counts when the server asks for the next one.
    assert await plays(store) == [(AuditAction.PLAY, Way.SYSTEM, 12.0, [[0, 400], [700, 900]])]


async def test_other_callers_ways_and_second_plays_are_plays_of_their_own(store: BreakableStore) -> None:
    trail = trail_on(store)
    await heard(trail)
    await heard(trail, caller=replace(CALLER, token_id="t2"))
    await heard(trail, way=Way.SIGNED_URL, download=True)
    await heard(trail)
    await trail.close()
    assert [each[:3] for each in await plays(store)] == [
        (AuditAction.PLAY, Way.SYSTEM, 20.0),
        (AuditAction.PLAY, Way.SYSTEM, 20.0),
        (AuditAction.DOWNLOAD, Way.SIGNED_URL, 20.0),
        (AuditAction.PLAY, Way.SYSTEM, 20.0),
    ]


async def test_a_download_during_a_play_is_an_entry_of_its_own(store: BreakableStore) -> None:
    trail = trail_on(store)
    await heard(trail, 0, 300)
    await heard(trail, download=True)
    await heard(trail, 300, 400)
    await trail.close()
    assert [(each[0], each[2]) for each in await plays(store)] == [
        (AuditAction.PLAY, 8.0),
        (AuditAction.DOWNLOAD, 20.0),
    ]


async def test_an_idle_play_ends(store: BreakableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play_sessions, "IDLE_SECONDS", 0.01)
    trail = trail_on(store)
    await heard(trail, 0, 300)
    while trail.running_plays():  # noqa: ASYNC110 - the play ends by a timer
        await asyncio.sleep(0.005)
    await trail.flush()
    await heard(trail, 300, 400)
    await trail.close()
    assert [each[2] for each in await plays(store)] == [6.0, 2.0]


async def test_no_byte_is_sent_before_the_entry(store: BreakableStore) -> None:
    trail = trail_on(store, strict=True)
    store.broken = True
    stream = Playback(PLAYED, CALLER, trail).audio(audio)("local:x", 0, None)
    with pytest.raises(AuditUnavailableError):
        await anext(stream)
    store.broken = False
    await trail.close()
    trail = trail_on(store, strict=True)
    stream = Playback(PLAYED, CALLER, trail).audio(audio)("local:x", 0, None)
    await anext(stream)
    assert [each.action for each in await entries(store)] == [AuditAction.PLAY]
    assert [each.action for each in (await store.trail_page(AuditFilter(account_id=ACCOUNT), 9)).entries] == ["PLAY"]
    await trail.close()


def test_many_ranges_are_joined_at_the_smallest_gaps() -> None:
    ranges = [(number * 10, number * 10 + 5 + (number == 3) * 4) for number in range(play_sessions.MAX_RANGES + 1)]
    joined = play_sessions.merge(ranges)
    assert (len(joined), joined[3]) == (play_sessions.MAX_RANGES, (30, 45))
