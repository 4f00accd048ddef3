"""Mix several tracks or channels to a recording of one or two channels.

The rules, which are also in docs/operations.md:

- One track of one or two channels stays as it is.
- Two mono tracks are the two parties of the call: the first is left, the second right.
- A track of more than two channels: channels 1, 3, 5 ... go left, channels 2, 4, 6 ... go right, at equal weight.
- Any other set of tracks: each track becomes stereo (mono on both sides), and all are added at equal weight.

All tracks begin at the same time. The longest one sets the length.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.filter import Graph
from av.filter.context import FilterContext

from adapters.audio.pcm import join_stereo, resample

_SOURCE = "s16"


def mixed(tracks: Sequence[tuple[int, Iterable[AudioFrame]]], sample_rate: int) -> Iterator[AudioFrame]:
    """Return the frames of a recording. `tracks` has the number of channels and the frames of each track."""
    if len(tracks) == 1:
        channels, frames = tracks[0]
        return iter(frames) if channels <= 2 else _folded(frames, channels, sample_rate)  # noqa: PLR2004 - stereo
    if [channels for channels, _frames in tracks] == [1, 1]:
        return join_stereo(tracks[0][1], tracks[1][1], sample_rate)
    return _added([_stereo(frames, channels, sample_rate) for channels, frames in tracks], sample_rate)


def channels_of(tracks: Sequence[int]) -> int:
    """Return the number of channels of a recording. `tracks` has the number of channels of each track."""
    return 1 if list(tracks) == [1] else 2


def _stereo(frames: Iterable[AudioFrame], channels: int, sample_rate: int) -> Iterator[AudioFrame]:
    if channels > 2:  # noqa: PLR2004 - stereo
        return _folded(frames, channels, sample_rate)
    return resample(frames, _SOURCE, "stereo", sample_rate)


def _folded(frames: Iterable[AudioFrame], channels: int, sample_rate: int) -> Iterator[AudioFrame]:
    """Fold many channels into two. FFmpeg's own rule leaves out some channels (LFE) and puts others on both sides."""
    left, right = range(0, channels, 2), range(1, channels, 2)
    sides = ("+".join(f"{1 / len(side):.9f}*c{number}" for number in side) for side in (left, right))
    graph = Graph()
    source = _input(graph, sample_rate, f"{channels}C")
    pan = graph.add("pan", "stereo|c0={}|c1={}".format(*sides))
    sink = graph.add("abuffersink")
    source.link_to(pan)
    pan.link_to(sink)
    graph.configure()
    for frame in _stamped(_unnamed(frames, channels, sample_rate), sample_rate):
        source.push(frame)
        yield from _pulled(sink)
    source.push(None)
    yield from _pulled(sink)


def _unnamed(frames: Iterable[AudioFrame], channels: int, sample_rate: int) -> Iterator[AudioFrame]:
    """Yield frames of interleaved 16-bit samples whose channels have numbers, but no positions such as left."""
    for frame in frames:
        # The number of channels may change within a file. Frames with another number are left out.
        if frame.layout.nb_channels == channels:
            yield from _renamed(frame, channels, sample_rate)


def _renamed(frame: AudioFrame, channels: int, sample_rate: int) -> Iterator[AudioFrame]:
    for part in resample([frame], _SOURCE, frame.layout.name, sample_rate):
        named = AudioFrame(format=_SOURCE, layout=f"{channels}C", samples=part.samples)
        size = 2 * channels * part.samples
        named.planes[0].update(bytes(part.planes[0])[:size].ljust(named.planes[0].buffer_size, b"\0"))
        named.sample_rate = sample_rate
        yield named


def _added(tracks: Sequence[Iterator[AudioFrame]], sample_rate: int) -> Iterator[AudioFrame]:
    graph = Graph()
    sources = [_input(graph, sample_rate, "stereo") for _ in tracks]
    weights = " ".join([f"{1 / len(tracks):.9f}"] * len(tracks))
    mix = graph.add("amix", f"inputs={len(tracks)}:duration=longest:normalize=0:weights={weights}")
    sink = graph.add("abuffersink")
    for number, source in enumerate(sources):
        source.link_to(mix, 0, number)
    mix.link_to(sink)
    graph.configure()
    pending = {number: _stamped(track, sample_rate) for number, track in enumerate(tracks)}
    pushed = dict.fromkeys(pending, 0)
    while pending:
        # The track that is furthest behind comes next, so that the filter keeps little audio of the others.
        number = min(pending, key=lambda each: pushed[each])
        frame = next(pending[number], None)
        sources[number].push(frame)
        if frame is None:
            del pending[number]
        else:
            pushed[number] += frame.samples
        yield from _pulled(sink)


def _input(graph: Graph, sample_rate: int, layout: str) -> FilterContext:
    return graph.add_abuffer(sample_rate=sample_rate, format=_SOURCE, layout=layout, time_base=Fraction(1, sample_rate))


def _stamped(frames: Iterable[AudioFrame], sample_rate: int) -> Iterator[AudioFrame]:
    at = 0
    for frame in frames:
        frame.pts, frame.time_base = at, Fraction(1, sample_rate)
        at += frame.samples
        yield frame


def _pulled(sink: FilterContext) -> Iterator[AudioFrame]:
    while True:
        try:
            yield cast("AudioFrame", sink.pull())
        except (BlockingIOError, av.EOFError):
            return
