"""The code of a worker process: one job at a time, with a time limit, a memory limit and a pipe to its parent.

The parent imports this file to name the jobs. FFmpeg's libraries are imported in functions, so that only workers load
them.
"""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from threading import Thread
from typing import Final

from adapters.audio.peaks import Waveform, waveform
from recordings.ports.audio import NotAudio, Rendered, SpooledAudio, Target

_HANG: Final = 10.0
"""Seconds of CPU time after its budget at which a job that does not end is killed: it hangs in a library."""
_out_of_budget = False


class TakesLonger(Exception):  # noqa: N818 - an expected result
    """The job needs more CPU time than its budget."""


def begin(lifeline: Connection, memory_bytes: int) -> None:
    """Prepare a new worker process."""
    # Ctrl-C goes to the whole process group, but only the parent decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, _end_budget)
    _load_ffmpeg()
    # The audio of live calls has priority.
    os.nice(10)
    # Not every system has this limit.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _load_ffmpeg() -> None:
    import av.logging

    from adapters.audio import render_job  # noqa: F401 - the first job needs it, and its time is limited

    av.logging.set_level(None)


def work(folder: str, name: str, audio: SpooledAudio, target: Target, budget: float | None, seconds: float) -> Rendered:
    """Render within a time limit. After it, SIGALRM kills the process, also if it hangs in a library.

    Raises:
        TakesLonger: the job needs more CPU time than its budget.
    """
    from adapters.audio.render_job import render

    with _budgeted(budget), _limited(seconds), _limited_size(target.max_bytes):
        return render(folder, name, audio, target)


def draw(path: str, pixels: int, budget: float | None, seconds: float) -> Waveform:
    """Return the waveform of a file, within a time limit. Raises `TakesLonger`, as `work`."""
    with _budgeted(budget), _limited(seconds):
        return waveform(path, pixels)


def _end_budget(_number: int, _frame: object) -> None:
    global _out_of_budget  # noqa: PLW0603 - a signal handler has no other way to report
    _out_of_budget = True
    raise TakesLonger


@contextmanager
def _budgeted(budget: float | None) -> Iterator[None]:
    """Raise `TakesLonger` in the block when its CPU time is used up."""
    global _out_of_budget  # noqa: PLW0603 - see `_end_budget`
    _out_of_budget = False
    if budget is None:
        yield
        return
    # The signal is sent again because FFmpeg can ignore an error of a callback.
    signal.setitimer(signal.ITIMER_PROF, budget, budget / 4)
    signal.setitimer(signal.ITIMER_VIRTUAL, budget + _HANG)
    try:
        yield
    except BaseException as error:
        if _out_of_budget:
            raise TakesLonger from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if _out_of_budget:
        raise TakesLonger


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    from av import FFmpegError

    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except FFmpegError as error:
        if isinstance(error, ValueError):
            # A file with impossible parameters. A retry has the same result.
            message = f"the audio cannot be converted: {error}"
            raise NotAudio(message) from None
        # FFmpeg's errors cannot be pickled for the parent process.
        raise RuntimeError(str(error)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _limited_size(max_bytes: int | None) -> Iterator[None]:
    """Let each write beyond this file size fail. The operating system enforces it for FFmpeg's writes, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if max_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    except OSError as error:
        if max_bytes is None or error.errno != errno.EFBIG:
            raise
        message = f"the converted file would be larger than {max_bytes} bytes"
        raise NotAudio(message) from None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe closes, for example because the parent died."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)
