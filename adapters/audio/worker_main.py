"""What runs in a worker process: one job at a time, with a clock, a memory limit and a line to its parent."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from threading import Thread

import av
import av.logging

from adapters.audio.peaks import Waveform, waveform
from adapters.audio.render_job import render
from recordings.ports.audio import Rendered, SpooledAudio, Target


def begin(lifeline: Connection, memory_bytes: int) -> None:
    """Prepare a new worker process."""
    # Ctrl-C goes to the whole group of processes; when a worker ends is its parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    av.logging.set_level(None)
    # Calls in progress come first.
    os.nice(10)
    # Not every system has this limit.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def work(folder: str, name: str, audio: SpooledAudio, target: Target, seconds: float) -> Rendered:
    """Render within a time; the process dies by SIGALRM, whatever it is stuck in, when that is over."""
    with _limited(seconds):
        return render(folder, name, audio, target)


def draw(path: str, pixels: int, seconds: float) -> Waveform:
    """The waveform of a file, within a time."""
    with _limited(seconds):
        return waveform(path, pixels)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except av.FFmpegError as error:
        # Such errors do not survive the way to another process.
        raise RuntimeError(str(error)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the line is closed, be it by the death of the parent."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)
