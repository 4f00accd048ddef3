"""Renditions and waveforms: each is made once, the cache stays within its limits, and the source is verified."""

import asyncio
import hashlib
import os
from array import array
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.audio import (
    AudioWorkers,
    AudioWorkersBusyError,
    Renditions,
    RenditionTooLargeError,
    SourceDamagedError,
)
from adapters.audio.file_cache import FolderCache, size_on_disk
from adapters.audio.peaks import WaveformBuilder
from recordings.model.recording import Media
from recordings.ports.audio import MediaMissing, NotAudio
from tests.adapters.audio.sounds import interleave, sine, write_wav

RATE = 8_000


class CountingStore:
    """A media store in a folder. It counts its reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reads = 0

    async def read(self, url: str, _start: int = 0, _end: int | None = None) -> AsyncIterator[bytes]:
        self.reads += 1
        path = self.folder / url
        if not path.exists():
            raise MediaMissing(url)
        yield path.read_bytes()

    def add(self, name: str, seconds: float = 2.0, channels: int = 2) -> Media:
        left, right = sine(440, RATE, seconds), sine(1_000, RATE, seconds, level=3_000)
        path = write_wav(self.folder / name, interleave(left, right) if channels > 1 else left, RATE, channels)
        return media_of(path, round(seconds * 1_000), channels)


def media_of(path: Path, duration_ms: int = 0, channels: int = 1) -> Media:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Media(path.name, "audio/x-wav", len(data), duration_ms, RATE, channels, digest, 0)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    (tmp_path / "store").mkdir()
    return CountingStore(tmp_path / "store")


@pytest.fixture
async def renditions(tmp_path: Path, store: CountingStore) -> AsyncIterator[Renditions]:
    audio_workers = AudioWorkers(tmp_path / "renditions/work", workers=1)
    opened = Renditions(tmp_path / "renditions", audio_workers, store.read)
    await opened.open()
    yield opened
    await opened.close()
    await audio_workers.close()


async def test_every_format_plays_as_long_as_the_recording(renditions: Renditions, store: CountingStore) -> None:
    media = store.add("a.wav")
    assert await renditions.convert(media, "wav") is None
    for format, codec in (("mp3", "mp3float"), ("opus", "opus"), ("flac", "flac")):
        made = await renditions.convert(media, format)
        assert made is not None
        data = made.path.read_bytes()
        assert (made.length, made.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        with av.open(str(made.path)) as file:
            stream = file.streams.audio[0]
            assert codec in stream.codec_context.name
            assert stream.codec_context.channels == 2
            samples = sum(frame.samples / frame.sample_rate for frame in file.decode(stream))
        assert samples == pytest.approx(2.0, abs=0.12)
    assert not list(renditions._work.iterdir())


async def test_a_waveform_is_correct_and_cached(renditions: Renditions, store: CountingStore) -> None:
    media = store.add("a.wav")
    drawn = await renditions.peaks(media, 100)
    assert drawn == await renditions.peaks(media, 100)
    assert store.reads == 1
    assert (drawn["version"], drawn["channels"], drawn["sample_rate"], drawn["bits"]) == (2, 2, RATE, 8)
    assert 90 <= drawn["length"] <= 100
    assert len(drawn["data"]) == drawn["length"] * 2 * 2
    assert (drawn["length"] - 1) * drawn["samples_per_pixel"] < 2 * RATE <= drawn["length"] * drawn["samples_per_pixel"]
    low_left, high_left, low_right, high_right = drawn["data"][:4]
    assert (low_left, high_left) == pytest.approx((-12_000 / 256, 12_000 / 256), abs=2)
    assert (low_right, high_right) == pytest.approx((-3_000 / 256, 3_000 / 256), abs=2)


@pytest.mark.parametrize("pixels", [0, -1, 10_001])
async def test_a_waveform_with_too_few_or_too_many_pixels_is_rejected(
    renditions: Renditions, store: CountingStore, pixels: int
) -> None:
    with pytest.raises(ValueError, match="pixels"):
        await renditions.peaks(store.add("a.wav"), pixels)


async def test_simultaneous_requests_share_one_rendition(renditions: Renditions, store: CountingStore) -> None:
    media = store.add("a.wav")
    made = await asyncio.gather(*(renditions.convert(media, "flac") for _ in range(20)))
    assert len({rendition.path for rendition in made if rendition}) == 1
    assert store.reads == 1


async def test_a_cancelled_request_does_not_cancel_the_rendition_for_others(
    renditions: Renditions, store: CountingStore
) -> None:
    media = store.add("a.wav")
    first, second = (asyncio.create_task(renditions.convert(media, "flac")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None
    assert store.reads == 1


async def test_a_source_that_differs_from_the_stored_audio_is_rejected(
    renditions: Renditions, store: CountingStore
) -> None:
    media = store.add("a.wav")
    for wrong in (replace(media, sha256="0" * 64), replace(media, length=media.length - 1)):
        with pytest.raises(SourceDamagedError):
            await renditions.convert(wrong, "mp3")
    with pytest.raises(MediaMissing):
        await renditions.convert(replace(media, url="gone.wav"), "mp3")
    (store.folder / "b.wav").write_bytes(b"no audio at all" * 100)
    with pytest.raises(NotAudio):
        await renditions.convert(media_of(store.folder / "b.wav"), "mp3")
    assert not list(renditions._work.iterdir())


async def test_forget_deletes_all_renditions_of_a_recording(renditions: Renditions, store: CountingStore) -> None:
    media, other = store.add("a.wav", 1.0), store.add("b.wav", 0.5)
    made = [await renditions.convert(media, "flac"), await renditions.convert(other, "flac")]
    await renditions.peaks(media, 10)
    await renditions.forget(media.sha256)
    assert [rendition.path.exists() for rendition in made if rendition] == [False, True]
    assert len(list((renditions._work.parent / "kept").iterdir())) == 1


async def test_forget_also_deletes_renditions_in_progress(renditions: Renditions, store: CountingStore) -> None:
    media = store.add("a.wav")
    making = asyncio.create_task(renditions.convert(media, "flac"))
    while not store.reads:  # noqa: ASYNC110 - the store only counts its reads
        await asyncio.sleep(0)
    await renditions.forget(media.sha256)
    assert list((renditions._work.parent / "kept").iterdir()) == []
    with suppress(FileNotFoundError):
        await making


async def test_old_renditions_are_deleted_without_a_request(tmp_path: Path, store: CountingStore) -> None:
    kept = [put(FolderCache(tmp_path / "renditions/kept", 1 << 20, 60), tmp_path, name, 10) for name in ("a", "b")]
    os.utime(kept[0], (0, 0))
    audio_workers = AudioWorkers(tmp_path / "renditions/work", workers=1)
    opened = Renditions(tmp_path / "renditions", audio_workers, store.read)
    await opened.open()
    while kept[0].exists():  # noqa: ASYNC110 - a disk sends no event
        await asyncio.sleep(0.01)
    assert kept[1].exists()
    await opened.close()
    await audio_workers.close()


def put(cache: FolderCache, folder: Path, key: str, size: int) -> Path:
    source = folder / "source"
    source.write_bytes(b"x" * size)
    assert cache.reserve(size_on_disk(size))
    added = cache.add(key, "note", source).path
    cache.release(size_on_disk(size))
    return added


def test_a_full_cache_deletes_the_least_recently_used_file(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache", 3 * 4_096, 60)
    paths = [put(cache, tmp_path, name, 4_000) for name in ("a", "b", "c")]
    assert cache.get("a") is not None
    put(cache, tmp_path, "d", 1)
    assert [path.exists() for path in paths] == [True, False, True]
    assert cache.get("b") is None
    assert not cache.reserve(4 * 4_096)


def test_reservations_count_and_delete_old_files(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache", 3 * 4_096, 60)
    paths = [put(cache, tmp_path, name, 4_000) for name in ("a", "b", "c")]
    assert cache.reserve(2 * 4_096)
    assert [path.exists() for path in paths] == [False, False, True]
    assert not cache.reserve(2 * 4_096)
    cache.release(2 * 4_096)
    assert cache.reserve(3 * 4_096)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_the_limit_holds_while_renditions_are_written(tmp_path: Path, store: CountingStore) -> None:
    limit = 1 << 20
    media = [store.add(f"{number}.wav", 4.0 + number / 10) for number in range(6)]
    root = tmp_path / "renditions"
    audio_workers = AudioWorkers(root / "work", workers=2)
    renditions = Renditions(root, audio_workers, store.read, max_bytes=limit)
    making = asyncio.gather(*(renditions.convert(each, format) for each in media for format in ("flac", "mp3")))
    largest = 0
    while not making.done():
        largest = max(largest, used(root))
        await asyncio.sleep(0)
    await making
    assert 0 < largest <= limit
    await renditions.close()
    await audio_workers.close()


def used(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        # Files come and go while the folder is read.
        with suppress(FileNotFoundError):
            total += size_on_disk(path.stat().st_size) if path.is_file() else 0
    return total


async def test_a_rendition_that_can_never_fit_is_rejected(tmp_path: Path, store: CountingStore) -> None:
    audio_workers = AudioWorkers(tmp_path / "renditions/work", workers=1)
    renditions = Renditions(tmp_path / "renditions", audio_workers, store.read, max_bytes=200_000)
    media = store.add("a.wav", 8.0)
    for making in (renditions.convert(media, "flac"), renditions.peaks(media, 10)):
        with pytest.raises(RenditionTooLargeError, match="bytes of disk space, and all renditions may take 200000"):
            await making
    assert store.reads == 0
    await renditions.close()
    await audio_workers.close()


async def test_a_rendition_longer_than_announced_is_cut_off(tmp_path: Path, store: CountingStore) -> None:
    audio_workers = AudioWorkers(tmp_path / "renditions/work", workers=1)
    renditions = Renditions(tmp_path / "renditions", audio_workers, store.read)
    media = replace(store.add("a.wav", 30.0), duration_ms=1)
    with pytest.raises(NotAudio, match="would be larger than"):
        await renditions.convert(media, "flac")
    assert used(tmp_path / "renditions") == 0
    await renditions.close()
    await audio_workers.close()


def test_a_cache_survives_its_process_and_returns_no_old_files(tmp_path: Path) -> None:
    put(FolderCache(tmp_path / "cache", 1 << 20, 60), tmp_path, "a", 10)
    again = FolderCache(tmp_path / "cache", 1 << 20, 60)
    kept = again.get("a")
    assert kept is not None
    assert kept.note == "note"
    os.utime(kept.path, (0, 0))
    assert FolderCache(tmp_path / "cache", 1 << 20, 60).get("a") is None
    assert not kept.path.exists()
    assert again.get("a") is None


@given(
    samples=st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=400),
    channels=st.sampled_from([1, 2]),
    pixels=st.integers(1, 12),
    cut=st.integers(1, 50),
)
def test_a_waveform_has_the_minimum_and_maximum_of_every_pixel(
    samples: list[int], channels: int, pixels: int, cut: int
) -> None:
    samples = samples[: len(samples) // channels * channels] or [0] * channels
    builder = WaveformBuilder(channels, pixels)
    for start in range(0, len(samples), cut * channels):
        builder.add(array("h", samples[start : start + cut * channels]))
    step, data = builder.finish()
    count = len(data) // (2 * channels)
    assert 1 <= count <= pixels
    for pixel in range(count):
        for channel in range(channels):
            piece = samples[pixel * step * channels : (pixel + 1) * step * channels][channel::channels]
            place = (pixel * channels + channel) * 2
            assert (data[place], data[place + 1]) == (min(piece) >> 8, max(piece) >> 8)
    assert (count - 1) * step * channels < len(samples) <= count * step * channels


REQUESTS = [(11, "a"), (12, "a"), (13, "a"), (14, "b"), (15, "b"), (16, "b")]


async def test_the_queue_is_limited_in_total_and_for_each_account(tmp_path: Path, store: CountingStore) -> None:
    media = store.add("a.wav", seconds=0.5)
    audio_workers = AudioWorkers(tmp_path / "renditions/work", workers=1)
    renditions = Renditions(tmp_path / "renditions", audio_workers, store.read, at_once=1, waiting=1)
    tasks = [asyncio.create_task(renditions.peaks(media, pixels)) for pixels in (1, 2, 3, 4)]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in ended].count(AudioWorkersBusyError) == 2
    assert (await renditions.peaks(media, 4))["length"] <= 4
    # The limit of an account is reached before the limit in total.
    tasks = [asyncio.create_task(renditions.peaks(media, pixels, account)) for pixels, account in REQUESTS]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    # Each looks into the cache first, in a thread, so any of the three may be the last one.
    busy = [account for (_, account), each in zip(REQUESTS, ended, strict=True) if type(each) is AudioWorkersBusyError]
    assert sorted(busy) == ["a", "b"]
    await renditions.close()
    await audio_workers.close()
