"""The audio of a file that FFmpeg opens: a container, frames of a codec, or headerless samples."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from adapters.audio.allowed_decoders import is_g729
from adapters.audio.audio_source import STRUCTURED, AudioSource, Open, Part, decoded, examined
from adapters.audio.content_kind import after_tags, mpeg_duration_ms, mpeg_frame, name_of
from adapters.audio.decoding import AudioTrack, Content, Decoded, RawFormat
from adapters.audio.file_layout import Layout, without_zeros
from adapters.audio.flac_blocks import read_blocks
from adapters.audio.headerless import HINT
from adapters.audio.joined_file import JoinedFile
from adapters.audio.matroska_elements import read_elements
from adapters.audio.mixing import channels_of
from adapters.audio.mp4_boxes import read_boxes
from adapters.audio.ogg_pages import read_pages
from adapters.audio.sample_file import read_at
from recordings.model.instants import Millis
from recordings.ports.audio import NotAudio, TooLong

_CHANGING: Final = frozenset({"mp3", "aac", "loas", "ogg", "flac"})
"""Formats that may change their rate or channels on the way, for example where files were joined."""
_FRAMED: Final = frozenset({"mp3", "aac"})
"""Formats that consist of frames without a structure around them."""
_SHORTEST: Final = 16
"""Bytes that a file without any audio may have. The header of AMR has 9."""
_PROBE: Final = 1 << 20
_MAX_REASONS: Final = 3
_FORM_END: Final = re.compile(rb"\r?\n--[\x20-\x7e]{1,72}\r?\n?\Z")
"""The end of a form that is still around the file."""
_FRAME_COUNT: Final = re.compile(
    rb"\xff[\xe2-\xff].{2,38}?(?:(?:Xing|Info)\x00\x00\x00[\x01\x03\x05\x07\x09\x0b\x0d\x0f]|VBRI.{10})(.{4})",
    re.DOTALL,
)
"""An MP3 frame that says how many frames follow."""
_LAYOUTS: Final[Sequence[tuple[re.Pattern[bytes], Callable[[BinaryIO, int, int], Layout]]]] = (
    (re.compile(rb"OggS"), read_pages),
    (re.compile(rb"....(?:ftyp|moov|mdat|wide|free|skip)", re.DOTALL), read_boxes),
    (re.compile(rb"\x1aE\xdf\xa3"), read_elements),
    (re.compile(rb"fLaC"), read_blocks),
)


class RejectedVideo(NotAudio):
    """The file has video, and the installation rejects video."""


def of_container(path: Path, start: int, limit_ms: Millis, *, accept_video: bool) -> AudioSource:
    """Return the audio of a file that begins at `start`.

    Raises:
        NotAudio: it has no audio that may be decoded. The message names its content.
    """
    with path.open("rb") as file:
        layout = _layout(file, start)
    sources, errors = [], []
    for each in layout.parts:
        try:
            sources.append(_of_part(_view(path, *each), each[1], limit_ms, accept_video=accept_video))
        except (TooLong, RejectedVideo):
            raise
        except NotAudio as error:
            errors.append(error)
    if not sources:
        raise errors[0] if errors[0].__cause__ is None else NotAudio(_reason(path, errors[0])) from errors[0]
    source = _joined(sources) if len(sources) > 1 else sources[0]
    source.has_payload = layout.payload > 0
    if not source.parts and source.has_payload:
        raise NotAudio(_reason(path, NotAudio("nothing in the file can be decoded")))
    lost = tuple(f"a part of the file is left out: {error}" for error in errors[:_MAX_REASONS])
    source.known_damage = (*layout.damage, *lost, *source.known_damage)
    return source


def of_headerless(path: Path, raw: RawFormat, limit_ms: Millis) -> AudioSource:
    """Return the audio of a file of headerless samples."""
    if raw.name == "g729":
        with path.open("rb") as file:
            if not is_g729(file.read(_PROBE)):
                message = "the name of the file says that it is g729, but its content is not G.729 speech"
                raise NotAudio(message)
    stop = path.stat().st_size
    if raw.is_coded:
        # Zeros at the end of a preallocated file are no frames. Samples that are 0 are silence.
        with path.open("rb") as file:
            stop = without_zeros(file, 0, stop)
    part, content = examined(_view(path, 0, stop), raw)
    if not content.tracks:
        message = f"the audio is {', '.join(content.rejected)}, which this service does not decode"
        raise NotAudio(message)
    return _of_tracks(part, content, stop, limit_ms)


def _layout(file: BinaryIO, start: int) -> Layout:
    end = file.seek(0, 2)
    head = read_at(file, start, 16)
    for pattern, read in _LAYOUTS:
        if pattern.match(head):
            return read(file, start, end)
    if start and (form := _FORM_END.search(read_at(file, max(start, end - 256), 256))):
        end -= len(form[0])
    stop = without_zeros(file, start, end)
    damage = () if stop == end else (f"the file ends with {end - stop} bytes of zeros",)
    return Layout(((start, stop - start),), damage, max(0, stop - start - _SHORTEST))


def _view(path: Path, offset: int, length: int) -> Open:
    if offset == 0 and length == path.stat().st_size:
        return lambda: path.open("rb")
    return lambda: cast("BinaryIO", JoinedFile(path.open("rb"), b"", ((offset, length),)))


def _of_part(open_file: Open, size: int, limit_ms: Millis, *, accept_video: bool) -> AudioSource:
    part, content = examined(open_file)
    if content.has_video and not accept_video:
        message = "the file has video, which this installation rejects: send the audio alone"
        raise RejectedVideo(message)
    if not content.tracks and content.format != "header":
        raise NotAudio(_no_audio(content))
    return _of_tracks(part, content, size, limit_ms)


def _of_tracks(part: Part, content: Content, size: int, limit_ms: Millis) -> AudioSource:
    tracks = part.tracks
    shapes = {(track.sample_rate, track.channels) for track in tracks}
    codec = ", ".join(sorted({track.codec for track in tracks}))
    if len(tracks) > 1 or content.format in _CHANGING:
        surveyed = [_survey(part, track, limit_ms) for track in tracks]
        if not any(found.samples for found in surveyed) and any(found.size for found in surveyed):
            message = f"the file contains {codec} of which nothing can be decoded"
            raise NotAudio(message)
        heard = [(track, found) for track, found in zip(tracks, surveyed, strict=True) if found.samples]
        tracks = tuple(_widened(track, found) for track, found in heard)
        shapes = {shape for _, found in heard for shape in found.shapes}
    rejected = (f"an audio track in {', '.join(content.rejected)} is left out: it is not decoded here",)
    counted_ms, frame_bytes = _frames_of(part.open, size) if content.format in _FRAMED else (None, None)
    return AudioSource(
        format=content.format,
        codec=codec,
        sample_rate=max((rate for rate, _ in shapes), default=8_000),
        channels=channels_of([track.channels for track in tracks]) if tracks else 1,
        is_constant=len(tracks) == 1 and len(shapes) == 1,
        limit_ms=limit_ms,
        has_payload=size > _SHORTEST,
        announced_ms=content.duration_ms if counted_ms is None else counted_ms,
        is_estimate=content.format not in STRUCTURED and counted_ms is None,
        frame_bytes=frame_bytes,
        known_damage=rejected if content.rejected else (),
        parts=(Part(part.open, tracks, part.raw),) if tracks else (),
    )


def _frames_of(open_file: Open, size: int) -> tuple[Millis | None, int]:
    """Return the length that an MP3 file announces, `None` if it announces none, and its size without its tags."""
    with open_file() as file:
        start = after_tags(file)
        first, tail = read_at(file, start, 8_192), read_at(file, max(0, size - 160), 160)
    end = size - (128 if tail[-128:-125] == b"TAG" else 0)
    if (at := tail.rfind(b"APETAGEX")) >= 0 and at + 16 <= len(tail):
        end -= int.from_bytes(tail[at + 12 : at + 16], "little")
    counted_ms = None
    if (counted := _FRAME_COUNT.search(first)) is not None:
        header = first[counted.start() : counted.start() + 6]
        start += mpeg_frame(header) or 0
        counted_ms = mpeg_duration_ms(header, int.from_bytes(counted[1], "big"))
    return counted_ms, max(0, end - start)


def _joined(sources: Sequence[AudioSource]) -> AudioSource:
    """Return one source for files that were appended to one another."""
    lengths = [each.announced_ms for each in sources]
    return AudioSource(
        format=sources[0].format,
        codec=", ".join(sorted({each.codec for each in sources})),
        sample_rate=max(each.sample_rate for each in sources),
        channels=max(each.channels for each in sources),
        is_constant=False,
        limit_ms=sources[0].limit_ms,
        has_payload=any(each.has_payload for each in sources),
        announced_ms=None if None in lengths else sum(length or 0 for length in lengths),
        is_estimate=any(each.is_estimate for each in sources),
        known_damage=tuple(damage for each in sources for damage in each.known_damage),
        parts=tuple(part for each in sources for part in each.parts),
    )


def _survey(part: Part, track: AudioTrack, limit_ms: Millis) -> Decoded:
    found = Decoded()
    for _frame in decoded(part, track, limit_ms, found):
        pass
    return found


def _widened(track: AudioTrack, found: Decoded) -> AudioTrack:
    channels = max(channels for _rate, channels in found.shapes)
    return AudioTrack(track.index, track.codec, max(rate for rate, _channels in found.shapes), channels)


def _no_audio(content: Content) -> str:
    if content.rejected:
        return f"the audio is {', '.join(content.rejected)}, which this service does not decode"
    return "the file has video and no audio" if content.has_video else "the file has no audio"


def _reason(path: Path, error: NotAudio) -> str:
    with path.open("rb") as file:
        name = name_of(file)
    return HINT if name is None else f"{error}: it is {name}"
