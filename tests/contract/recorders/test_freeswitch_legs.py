"""The two legs of a call on FreeSWITCH, and transfers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from recordings.model.events import Ended
from recordings.model.recording import EndCause
from recordings.ports.recorder import CallChange, TakeRefused
from tests.contract.recorders.esl_plants import EslDoublePlant
from tests.contract.recorders.plants import ACCOUNT
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[EslDoublePlant]:
    async with EslDoublePlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: EslDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


async def test_a_second_leg_is_a_call_only_after_the_first_one(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "first")
    plant.double.calls.ring("second", originator="first", direction="outbound")
    plant.double.calls.ring("own", originator="first", variables={"recordings_leg": "true"})
    plant.double.calls.bridge("first", "second")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "own"))
    assert await plant.recorder.find_call(ACCOUNT, "second") is None
    plant.double.calls.transfer("first")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "second"))
    await said.until(lambda: said.changes("second") == [CallChange.ARRIVED, CallChange.ANSWERED])
    call = await plant.recorder.find_call(ACCOUNT, "second")
    assert call is not None
    assert call.interaction_id == "first"


async def test_a_take_follows_a_transfer(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "first")
    plant.double.calls.ring("second", originator="first", direction="outbound")
    plant.double.calls.bridge("first", "second")
    follows = await begin(plant, "first", 1)
    plant.double.calls.transfer("first")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "second"))
    assert await plant.recorder.is_open(follows.recording_id)
    await plant.lose_connection()
    await until(lambda: _is(plant.recorder.state.value == "READY"))  # type: ignore[attr-defined]
    plant.double.calls.advance(1)
    await plant.hang_up("second")
    end = await said.end_of(follows)
    assert isinstance(end, Ended)
    assert (await plant.heard(follows)).seconds > 1.4


async def test_a_take_that_moved_is_stopped(plant: EslDoublePlant, said: Listener) -> None:
    """FreeSWITCH 1.10 does not find it by its path any more, so it replies that it cannot stop it."""
    await ring(plant, "first")
    plant.double.calls.ring("second", originator="first", direction="outbound")
    plant.double.calls.bridge("first", "second")
    take = await begin(plant, "first", 1)
    plant.double.calls.transfer("first")
    await until(lambda: plant.recorder.find_call(ACCOUNT, "second"))
    alien = plant.root / "other.wav"
    plant.double.calls.record(plant.double.calls.channels["second"], str(alien), 0, {})
    with pytest.raises(TakeRefused, match="without others of its channel"):
        await plant.recorder.stop(take.recording_id)
    assert plant.bugs == 2
    plant.double.execute(f"uuid_record second stop {alien}")
    await plant.recorder.stop(take.recording_id)
    assert plant.bugs == plant.files() == 0
    end = await said.end_of(take)
    assert isinstance(end, Ended)
    assert end.cause is EndCause.STOPPED


@pytest.mark.parametrize("is_compared", [False, True])
async def test_a_take_that_moved_while_its_leg_is_live_is_stopped(
    plant: EslDoublePlant, said: Listener, is_compared: bool
) -> None:
    """Its first leg still replies that it stops the recording."""
    await ring(plant, "first")
    plant.double.calls.ring("second", originator="first", direction="outbound")
    plant.double.calls.bridge("first", "second")
    take = await begin(plant, "first", 1)
    plant.double.calls.move_recordings("first")
    if is_compared:
        switch: Any = plant.recorder
        await switch._compare(switch._connection, is_first=False)
        await asyncio.sleep(0)
        assert await plant.recorder.is_open(take.recording_id)
    assert plant.bugs == 1
    await plant.recorder.stop(take.recording_id)
    assert plant.bugs == plant.files() == 0
    assert isinstance(await said.end_of(take), Ended)


async def test_a_take_ends_with_its_leg_if_it_must_not_follow(plant: EslDoublePlant, said: Listener) -> None:
    await ring(plant, "first")
    plant.double.calls.ring("second", originator="first", direction="outbound")
    plant.double.calls.bridge("first", "second")
    stays = await begin(plant, "first", 1, should_follow_transfer=False)
    plant.double.calls.transfer("first")
    assert isinstance(await said.end_of(stays), Ended)
    assert "api uuid_setvar first recording_follow_transfer false" in plant.double.commands


async def _is(value: bool) -> bool:
    return value
