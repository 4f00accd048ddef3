"""A call by each dialect, from an independent sender to the stored file: its length, its channels and its noise."""

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from adapters.audio.render_job import render
from recordings.model.instants import DAY
from recordings.model.recording import EndCause
from recordings.ports.audio import Target
from tests.adapters.recorders.parts import ACCOUNT, World, ends, eventually, take, world
from tests.adapters.recorders.senders import CALL, SENDERS, Samples, Sent, Where

SECONDS = 3
TAKE = take(call_id=CALL, record_on_answer=True)


def voices(sent: Sent, seconds: int) -> list[Samples]:
    """Return a different sound for each track: noise of a changing loudness, as speech has it."""
    generator = np.random.default_rng(7)
    found = []
    for track in range(sent.tracks):
        instants = np.arange(sent.rate * seconds) / sent.rate
        loudness = 6_000 + 5_000 * np.sin(2 * np.pi * (1 + track) * instants)
        found.append(np.round(generator.uniform(-1, 1, len(instants)) * loudness).astype(np.int16))
    return found


def where(here: World) -> Where:
    return Where(here.ws, here.http, here.audiosocket)


async def stored_file(here: World, folder: Path) -> tuple[int, Samples]:
    """Return the rate and the samples of the file that the finalizer makes, with a row for each channel."""
    spooled = await here.spool.audio(TAKE.recording_id)
    assert spooled is not None
    rendered = await asyncio.to_thread(render, str(folder), "out", spooled, Target("wav", None, DAY))
    with wave.open(rendered.path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return file.getframerate(), samples.reshape(-1, file.getnchannels()).T


def noise_ratio(source: Samples, found: Samples) -> float:
    """Return the ratio of signal to noise in dB."""
    difference = source.astype(float) - found
    power = np.mean(difference**2)
    return float("inf") if power == 0 else float(10 * np.log10(np.mean(source.astype(float) ** 2) / power))


async def record(here: World, sent: Sent, sounds: list[Samples], folder: Path) -> tuple[int, Samples]:
    session = await sent.begin(where(here))
    await eventually(lambda: here.recorder.find_call(ACCOUNT, CALL))
    await here.recorder.start(TAKE)
    await sent.play(session, sounds)
    await sent.end(session)
    await here.until(lambda: ends(here.said))
    assert ends(here.said) == [("Ended", EndCause.HANGUP)]
    return await stored_file(here, folder)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, max_lead=float("inf")) as made:
        yield made


@pytest.mark.parametrize("name", SENDERS)
async def test_a_call_is_recorded_at_its_own_rate_with_the_voices_on_their_sides(
    here: World, tmp_path: Path, name: str
) -> None:
    sent = SENDERS[name]
    sounds = voices(sent, SECONDS)
    rate, found = await record(here, sent, sounds, tmp_path)
    assert (rate, found.shape) == (sent.rate, (sent.tracks, sent.rate * SECONDS))
    for channel, source in enumerate(sounds):
        assert noise_ratio(source, found[channel]) > (1_000 if sent.lossless else 30)


async def main() -> None:
    """Print the table of all dialects, for calls of a minute."""
    import tempfile

    print("| dialect | rate | channels | length error ms | SNR dB, left | right |\n|---|---|---|---|---|---|")  # noqa: T201
    for name, sent in SENDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder), max_lead=float("inf")) as here:
                sounds = voices(sent, 60)
                rate, found = await record(here, sent, sounds, Path(folder))
        error = found.shape[1] * 1_000 / rate - 60_000
        ratios = [f"{noise_ratio(source, found[channel]):.1f}" for channel, source in enumerate(sounds)]
        print(f"| {name} | {rate} | {len(found)} | {error:g} | {' | '.join((*ratios, '–')[:2])} |")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
