"""Worker processes that die, hang or run too long. The service and the jobs of other files are not affected."""

import asyncio
import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.audio import AudioWorkers, AudioWorkersBusyError, worker_process
from recordings.ports.audio import Codec, NotAudio, SpooledAudio, Target, Track

LIMIT = 100 * 3_600_000
TO_MP3, TO_WAV = Target("mp3", None, LIMIT), Target("wav", None, LIMIT)


@pytest.fixture
async def audio_workers(tmp_path: Path) -> AsyncIterator[AudioWorkers]:
    made = AudioWorkers(tmp_path / "work", workers=1, waiting=1, seconds=60)
    yield made
    await made.close()


def hours(tmp_path: Path, count: int) -> SpooledAudio:
    """Silence that takes seconds to encode but no space on the disk."""
    path = tmp_path / "hours"
    with path.open("wb") as file:
        file.truncate(16_000 * 3_600 * count)
    return SpooledAudio((Track(str(path), Codec.S16, 8_000),))


def moment(tmp_path: Path) -> SpooledAudio:
    path = tmp_path / "moment"
    path.write_bytes(bytes(16_000))
    return SpooledAudio((Track(str(path), Codec.S16, 8_000),))


def children() -> set[int]:
    """Return the ids of all living worker processes, including those of other tests."""
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


def blocked_signals(worker: int) -> int:
    (mask,) = re.findall(r"^SigBlk:\s*(\w+)$", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)
    return int(mask, 16)


class HeldAudio:
    """Audio in a pipe that a test keeps open. A job that reads it has started, and cannot end before `let_go`."""

    def __init__(self, folder: Path) -> None:
        self._pipe, other = folder / "held", folder / "other side"
        os.mkfifo(self._pipe)
        other.write_bytes(bytes(16_000))
        # A job checks the size of a single file first, and a pipe has no size. So there are two tracks.
        self.audio = SpooledAudio(tuple(Track(str(path), Codec.S16, 8_000) for path in (self._pipe, other)))
        self._end: int | None = None
        self._others = children()

    async def begun(self) -> int:
        """Wait until a worker reads the audio. Return the worker's process id."""
        async with asyncio.timeout(60):
            end = await self._opened()
        self.let_go()
        self._end = end
        (worker,) = children() - self._others
        return worker

    def let_go(self) -> None:
        """Let this track end. The job continues with the other track, which is one second long."""
        if self._end is not None:
            os.close(self._end)
            self._end = None

    async def _opened(self) -> int:
        while True:
            try:
                return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                # No worker reads it yet.
                await asyncio.sleep(0.005)


async def kill(worker: int) -> None:
    """Kill a worker and wait until its process and its open files are gone."""
    os.kill(worker, signal.SIGKILL)
    async with asyncio.timeout(30):
        while worker in children():  # noqa: ASYNC110 - there is no event for the end of another process
            await asyncio.sleep(0.005)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[HeldAudio]:
    made = HeldAudio(tmp_path)
    yield made
    made.let_go()


async def test_a_job_runs_again_after_its_worker_was_killed(audio_workers: AudioWorkers, held: HeldAudio) -> None:
    job = asyncio.create_task(audio_workers.render("id", held.audio, TO_MP3))
    first = await held.begun()
    await kill(first)
    assert await held.begun() != first
    held.let_go()
    assert (await job).duration_ms == 1_000


async def test_a_file_that_kills_its_worker_twice_is_not_audio_and_other_jobs_succeed(
    audio_workers: AudioWorkers, held: HeldAudio, tmp_path: Path
) -> None:
    job = asyncio.create_task(audio_workers.render("id", held.audio, TO_MP3))
    waiting = asyncio.create_task(audio_workers.render("other", moment(tmp_path), TO_WAV))
    for _ in range(2):
        await kill(await held.begun())
    with pytest.raises(NotAudio, match="crashed"):
        await job
    assert (await waiting).duration_ms == 1_000
    await audio_workers.discard("id")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["other.wav"]


async def test_a_job_that_takes_too_long_is_not_audio(tmp_path: Path) -> None:
    audio_workers = AudioWorkers(tmp_path / "work", workers=1, seconds=0.3)
    with pytest.raises(NotAudio, match=r"more than 0\.3 seconds"):
        await audio_workers.render("id", hours(tmp_path, 24), TO_MP3)
    assert (await audio_workers.render("other", moment(tmp_path), TO_WAV)).duration_ms == 1_000
    await audio_workers.close()


async def test_work_that_takes_longer_than_short_work_starts_again_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.audio.audio_workers.SHORT_SECONDS", 0.05)
    audio_workers = AudioWorkers(tmp_path / "work", workers=1)
    path = tmp_path / "minutes"
    path.write_bytes(bytes(16_000 * 120))
    made = await audio_workers.render("id", SpooledAudio((Track(str(path), Codec.S16, 8_000),)), TO_MP3)
    assert made.duration_ms == 120_000
    assert [each.name for each in (tmp_path / "work").iterdir()] == ["id.mp3"]
    await audio_workers.close()


async def test_short_work_does_not_wait_for_files_that_take_longer_than_they_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.audio.audio_workers.SHORT_SECONDS", 0.2)
    monkeypatch.setattr("adapters.audio.audio_workers.LONG_BYTES", 1 << 40)
    audio_workers = AudioWorkers(tmp_path / "work", workers=3)
    bomb = hours(tmp_path, 48)
    bombs = [
        asyncio.create_task(audio_workers.render(f"{account}{number}", bomb, TO_MP3, account))
        for account in ("a", "b")
        for number in range(4)
    ]
    for number in range(3):
        made = await audio_workers.render(f"c{number}", moment(tmp_path), TO_WAV, "c")
        assert made.duration_ms == 1_000
    # Short files of a busy account do not wait, either.
    assert (await audio_workers.render("a", moment(tmp_path), TO_WAV, "a")).duration_ms == 1_000
    assert not any(job.done() for job in bombs)
    await audio_workers.close()
    await asyncio.gather(*bombs, return_exceptions=True)


async def test_the_queue_is_limited(audio_workers: AudioWorkers, held: HeldAudio, tmp_path: Path) -> None:
    jobs = [asyncio.create_task(audio_workers.render(f"id{i}", held.audio, TO_MP3)) for i in range(2)]
    await held.begun()
    with pytest.raises(AudioWorkersBusyError):
        await audio_workers.render("more", moment(tmp_path), TO_WAV)
    await audio_workers.close()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*jobs, return_exceptions=True))


async def test_closing_ends_a_worker_in_the_middle_of_a_job(audio_workers: AudioWorkers, held: HeldAudio) -> None:
    job = asyncio.create_task(audio_workers.render("id", held.audio, TO_MP3))
    worker = await held.begun()
    await audio_workers.close()
    await gone(worker)
    with pytest.raises(asyncio.CancelledError):
        await job


async def test_after_a_cancelled_job_the_next_job_waits_for_its_worker(
    audio_workers: AudioWorkers, held: HeldAudio, tmp_path: Path
) -> None:
    job = asyncio.create_task(audio_workers.render("id", held.audio, TO_MP3))
    worker = await held.begun()
    job.cancel()
    await asyncio.wait([job])
    other = asyncio.create_task(audio_workers.render("other", moment(tmp_path), TO_WAV))
    assert await held.begun() == worker
    held.let_go()
    assert (await other).duration_ms == 1_000
    assert (tmp_path / "work" / "id.mp3").exists()


async def test_workers_are_replaced_after_some_jobs(tmp_path: Path) -> None:
    audio_workers = AudioWorkers(tmp_path / "work", workers=1, tasks_per_worker=2)
    before, workers = children(), set[int]()
    for i in range(6):
        assert (await audio_workers.render(f"id{i}", moment(tmp_path), TO_WAV)).duration_ms == 1_000
        workers |= children() - before
    assert len(workers) == 3
    await audio_workers.close()


async def test_a_worker_that_hangs_is_replaced(
    audio_workers: AudioWorkers, held: HeldAudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limit here is shorter than the worker's own limit of 60 seconds.
    monkeypatch.setattr(worker_process, "_START", -59.5)
    with pytest.raises(NotAudio, match="crashed"):
        await audio_workers.render("id", held.audio, TO_WAV)
    monkeypatch.undo()
    assert (await audio_workers.render("other", moment(tmp_path), TO_WAV)).duration_ms == 1_000


async def test_a_worker_never_receives_ctrl_c(audio_workers: AudioWorkers, held: HeldAudio) -> None:
    job = asyncio.create_task(audio_workers.render("id", held.audio, TO_MP3))
    worker = await held.begun()
    # The parent blocks the signal. The worker itself ignores it only after it has loaded its libraries.
    assert blocked_signals(worker) & 1 << signal.SIGINT - 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    held.let_go()
    assert (await job).duration_ms == 1_000


PARENT = """
import asyncio, sys
from pathlib import Path
from adapters.audio import AudioWorkers
from recordings.ports.audio import Codec, SpooledAudio, Target, Track

async def main():
    audio_workers = AudioWorkers(Path(sys.argv[1]), workers=1)
    audio = SpooledAudio((Track(sys.argv[2], Codec.S16, 8000),))
    job = asyncio.create_task(audio_workers.render("id", audio, Target("mp3", None, 10**12)))
    import multiprocessing
    while not (Path(sys.argv[1]) / ".id.mp3.part").exists():
        await asyncio.sleep(0.005)
    print(multiprocessing.active_children()[0].pid, flush=True)
    await job

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_workers_end_when_the_service_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    path = hours(tmp_path, 48).tracks[0].path
    command = [sys.executable, str(script), str(tmp_path / "work"), path]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    await gone(int(await asyncio.to_thread(said_before_death, command, environment)))


def said_before_death(command: list[str], environment: dict[str, str]) -> bytes:
    """Start a process, read its first line and kill it. Return the line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        line: bytes = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    return line


async def gone(pid: int) -> None:
    """Wait until a process has ended. It may be a zombie."""
    async with asyncio.timeout(30):
        while is_alive(pid):  # noqa: ASYNC110 - there is no event for the end of another process
            await asyncio.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
