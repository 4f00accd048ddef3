"""Requests with one idempotency key: many at once through two servers, and repeated ones after a failure."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.metadata.sqlite import SqliteStore
from recordings.model.account import Scope
from recordings.model.errors import CallNotFound, IdempotencyKeyReused, RecorderFailed
from recordings.model.events import Ended
from recordings.model.recording import EndCause, Reason, Recording, State
from recordings.ports.recorder import Take
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import StartRequest
from tests.support.memory_installation import ACCOUNT, Installation, open_installation, principal

CALLER = principal(ACCOUNT, *Scope)
CALL = "call-1"
Action = Callable[[Recordings, str], Awaitable[Recording]]


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as opened:
        opened.recorder.ring(ACCOUNT, CALL)
        yield opened


@pytest.fixture
async def other(installation: Installation, tmp_path: Path) -> AsyncIterator[Recordings]:
    """A second server on the same metadata. It has a connection of its own."""
    store = SqliteStore(tmp_path)
    await store.open()
    yield Recordings(
        store=store,
        recorder=installation.recorder,
        clock=installation.clock,
        audit=installation.audit,
        wake=lambda: None,
        node="o" * 32,
    )
    await store.close()


def request(key: str | None = "start", call_id: str = CALL) -> StartRequest:
    return StartRequest(call_id=call_id, key=key)


async def ended(installation: Installation) -> Recording:
    """Return a recording that failed, so that it can be deleted."""
    installation.recorder.refusal = "the switch is unreachable"
    with pytest.raises(RecorderFailed) as refused:
        await installation.service.start(CALLER, request(None))
    installation.recorder.refusal = ""
    found = await installation.store.load(refused.value.recording_id or "")
    assert found is not None
    installation.audit.entries.clear()
    return found


async def at_both(installation: Installation, other: Recordings, act: Action, recording_id: str) -> list[Any]:
    return await asyncio.gather(
        *(act(service, recording_id) for _ in range(5) for service in (installation.service, other))
    )


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda service, found: service.delete(CALLER, found, "k"), id="delete"),
        pytest.param(lambda service, found: service.hold(CALLER, found, "a dispute", "k"), id="hold"),
        pytest.param(lambda service, found: service.release(CALLER, found, "k"), id="release"),
        pytest.param(
            lambda service, found: service.update(CALLER, found, {"user_metadata": {"a": 1}}, "k"), id="update"
        ),
    ],
)
async def test_one_key_through_two_servers_is_applied_once(
    installation: Installation, other: Recordings, act: Action
) -> None:
    before = await ended(installation)
    answers = await at_both(installation, other, act, before.id)
    found = await installation.store.load(before.id)
    assert found is not None
    assert found.revision == before.revision + 1
    assert [applied.key for applied in found.applied] == ["k"]
    assert answers == [found] * 10
    assert len(installation.audit.entries) == 1


async def test_one_restore_through_two_servers_is_applied_once(installation: Installation, other: Recordings) -> None:
    before = await ended(installation)
    trashed = await installation.service.delete(CALLER, before.id)
    answers = await at_both(installation, other, lambda at, found: at.restore(CALLER, found, "k"), before.id)
    assert {answer.state for answer in answers} == {State.FAILED}
    assert {answer.revision for answer in answers} == {trashed.revision + 1}


@pytest.mark.parametrize(
    ("action", "state"), [("pause", State.PAUSED), ("mask", State.MASKED), ("stop", State.FINALIZING)]
)
async def test_one_control_through_two_servers_is_applied_once(
    installation: Installation, other: Recordings, action: str, state: State
) -> None:
    begun = await installation.service.start(CALLER, request())
    installation.audit.entries.clear()

    async def act(service: Recordings, found: str) -> Recording:
        done: Recording = await getattr(service, action)(CALLER, found, "k")
        return done

    answers = await at_both(installation, other, act, begun.id)
    assert {(answer.state, answer.revision) for answer in answers} == {(state, begun.revision + 1)}
    assert installation.audit.entries == [(action, begun.id)]


async def test_a_control_that_was_done_elsewhere_is_not_refused(
    installation: Installation, other: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await installation.service.start(CALLER, request())

    async def paused_and_stopped_elsewhere(recording_id: str) -> int:
        monkeypatch.undo()
        await other.pause(CALLER, recording_id, "k")
        await other.stop(CALLER, recording_id)
        installation.recorder.refusal = "no take is open"
        return await installation.recorder.pause(recording_id)

    monkeypatch.setattr(installation.recorder, "pause", paused_and_stopped_elsewhere)
    assert (await installation.service.pause(CALLER, begun.id, "k")).state is State.FINALIZING


async def test_one_key_for_two_actions_at_once_is_used_for_one(installation: Installation, other: Recordings) -> None:
    before = await ended(installation)
    answers = await asyncio.gather(
        installation.service.delete(CALLER, before.id, "k"),
        other.hold(CALLER, before.id, "a dispute", "k"),
        return_exceptions=True,
    )
    assert {type(answer) for answer in answers if not isinstance(answer, Recording)} == {IdempotencyKeyReused}


async def test_a_repeated_start_raises_the_same_error(installation: Installation, other: Recordings) -> None:
    installation.recorder.refusal = "the disk of this server cannot be written"
    with pytest.raises(RecorderFailed) as first:
        await installation.service.start(CALLER, request())
    installation.recorder.refusal = ""
    for service in (installation.service, other, installation.service):
        with pytest.raises(RecorderFailed) as again:
            await service.start(CALLER, request())
        assert (again.value.message, again.value.recording_id) == (first.value.message, first.value.recording_id)
    # The key is still bound to the request, also while the recording is in the trash.
    with pytest.raises(IdempotencyKeyReused):
        await other.start(CALLER, request(call_id="another"))
    await other.delete(CALLER, first.value.recording_id or "")
    with pytest.raises(RecorderFailed):
        await installation.service.start(CALLER, request())
    assert installation.recorder.commands == []


async def test_starts_with_one_key_at_once_raise_the_same_error(installation: Installation, other: Recordings) -> None:
    installation.recorder.refusal = "the switch is unreachable"
    answers: list[Any] = await asyncio.gather(
        *(service.start(CALLER, request()) for _ in range(4) for service in (installation.service, other)),
        return_exceptions=True,
    )
    # A request that is answered while another one still starts the take gets the recording as it is then.
    assert {answer.state for answer in answers if isinstance(answer, Recording)} <= {State.REQUESTED}
    refused = [answer for answer in answers if not isinstance(answer, Recording)]
    assert {(type(answer), answer.message) for answer in refused} == {(RecorderFailed, "the switch is unreachable")}
    assert len({answer.recording_id for answer in refused}) == 1


async def test_a_start_that_made_no_recording_is_tried_again_with_its_key(
    installation: Installation, other: Recordings
) -> None:
    for service in (installation.service, other):
        with pytest.raises(CallNotFound):
            await service.start(CALLER, request(call_id="late"))
    installation.recorder.ring(ACCOUNT, "late")
    begun = await other.start(CALLER, request(call_id="late"))
    assert begun.state is State.RECORDING
    assert (await installation.service.start(CALLER, request(call_id="late"))).id == begun.id


@pytest.mark.parametrize("cause", [EndCause.SERVER_RESTART, EndCause.DISCONNECTED])
async def test_a_start_that_was_interrupted_before_the_recorder_was_asked_is_tried_again_with_its_key(
    installation: Installation, other: Recordings, monkeypatch: pytest.MonkeyPatch, cause: EndCause
) -> None:
    first = await interrupted(installation, monkeypatch)
    ended = await RecordingWriter(installation.store).save_event(first, Ended(at=installation.clock.now(), cause=cause))
    assert (ended.state, ended.reason) == (State.DISCARDED, Reason.NEVER_STARTED)
    again = await asyncio.gather(*(service.start(CALLER, request()) for service in (installation.service, other)))
    assert {each.state for each in again} == {State.RECORDING}
    assert {each.id for each in again} != {first.id}
    assert len({each.id for each in again}) == 1
    assert (await installation.service.start(CALLER, request())).id == again[0].id


async def test_a_start_that_was_too_slow_is_an_error(installation: Installation) -> None:
    start = installation.recorder.start

    async def start_late(take: Take) -> Any:
        event = await start(take)
        found = await installation.store.load(take.recording_id)
        assert found is not None
        end = Ended(at=installation.clock.now(), cause=EndCause.DISCONNECTED)
        await RecordingWriter(installation.store).save_event(found, end)
        return event

    setattr(installation.recorder, "start", start_late)  # noqa: B010 - mypy rejects an assignment
    with pytest.raises(RecorderFailed, match="interrupted before the recorder was asked"):
        await installation.service.start(CALLER, request())


@pytest.mark.parametrize("cause", [EndCause.HANGUP, EndCause.STOPPED])
async def test_a_start_whose_call_ended_at_once_is_not_tried_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, cause: EndCause
) -> None:
    first = await interrupted(installation, monkeypatch)
    await RecordingWriter(installation.store).save_event(first, Ended(at=installation.clock.now(), cause=cause))
    assert (await installation.service.start(CALLER, request())).id == first.id


async def interrupted(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Return a recording whose server died after it had inserted it."""

    async def die(_take: Take) -> Any:
        message = "the server died"
        raise ConnectionError(message)

    with monkeypatch.context() as patched:
        patched.setattr(installation.recorder, "start", die)
        with pytest.raises(ConnectionError):
            await installation.service.start(CALLER, request())
    found = await installation.store.find_active(ACCOUNT, CALL)
    assert found is not None
    return found
