"""The audio of a file of samples or of another format in a WAV file. Its header may be wrong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from struct import unpack_from
from typing import BinaryIO, Final, cast

from adapters.audio.allowed_decoders import G729_TAG, is_g729, wave_codec
from adapters.audio.audio_source import AudioSource, Open, Part, examined
from adapters.audio.decoding import RawFormat
from adapters.audio.joined_file import JoinedFile
from adapters.audio.mixing import channels_of
from adapters.audio.sample_file import SampleFile, wav_header
from adapters.audio.sample_headers import read_header_at
from recordings.model.instants import Millis
from recordings.ports.audio import NotAudio

MAX_PARTS: Final = 64
"""How many files may be appended to one another."""
_PROBE: Final = 1 << 20
_MAX_REASONS: Final = 3


def of_samples(path: Path, header: SampleFile, size: int, limit_ms: Millis) -> AudioSource:
    """Return the audio of a file with this header, and of the files that were appended to it.

    Raises:
        NotAudio: the format of the samples is not decoded here.
    """
    headers, errors = _appended(path, header, size)
    parts = []
    for each in [each for each in headers if each.length]:
        try:
            parts.append(_part(path, each))
        except NotAudio as error:
            # The first file decides about the whole. A bad file after it is left out.
            if each is header:
                raise
            headers.remove(each)
            errors.append(error)
    rates = {(track.sample_rate, track.channels) for part in parts for track in part.tracks}
    is_single = len({(each.format_body, each.kind) for each in headers}) == 1
    announced_ms, damage = _compare(headers)
    return AudioSource(
        format=header.kind,
        codec=parts[0].tracks[0].codec if parts else wave_codec(header.tag),
        sample_rate=max((rate for rate, _ in rates), default=header.sample_rate),
        channels=max((channels_of([channels]) for _, channels in rates), default=1),
        is_constant=len(rates) <= 1,
        limit_ms=limit_ms,
        plain=_joined(headers) if is_single and header.has_plain_samples else None,
        has_payload=bool(parts),
        announced_ms=announced_ms,
        is_estimate=True,
        known_damage=(*damage, *(f"a file that was appended is left out: {error}" for error in errors[:_MAX_REASONS])),
        parts=parts,
    )


def _part(path: Path, header: SampleFile) -> Part:
    try:
        part, content = examined(_view(path, header), _raw_of(header))
    except NotAudio as error:
        message = f"the audio is in the format {wave_codec(header.tag)}, and its header is damaged"
        raise NotAudio(message) from error
    if not content.tracks:
        message = f"the audio is in the format {wave_codec(header.tag)}, which this service does not decode"
        raise NotAudio(message)
    if header.tag == G729_TAG and not is_g729(_beginning(path, header)):
        message = "the file says that it is g729, but its content is not G.729 speech"
        raise NotAudio(message)
    return part


def _compare(headers: Sequence[SampleFile]) -> tuple[Millis | None, tuple[str, ...]]:
    """Compare the sizes in the headers with the file. Return the announced length and the damage."""
    damage = []
    if headers[-1].next_file is not None:
        damage.append(f"more than {MAX_PARTS} files are appended to one another; the rest is left out")
    sizes = [each.announced for each in headers]
    length, announced = sum(each.length for each in headers), sum(size or 0 for size in sizes)
    header = headers[0]
    announced_ms: Millis | None
    if None in sizes or announced // header.block == length // header.block:
        return None, tuple(damage)
    if header.has_plain_samples and header.duration_ms(announced) == header.duration_ms(length):
        return None, tuple(damage)
    if header.has_plain_samples:
        announced_ms, found = header.duration_ms(announced), f"{header.duration_ms(length)} ms"
        expected = f"{announced_ms} ms"
    else:
        per_second = unpack_from("<I", header.format_body, 8)[0]
        announced_ms = round(1_000 * announced / per_second) if per_second else None
        expected, found = f"{announced} bytes of audio", f"{length} bytes"
    word = "less" if announced < length else "more"
    damage.append(f"the header announces {expected}, {word} than the file has ({found})")
    return announced_ms, tuple(damage)


def _appended(path: Path, header: SampleFile, size: int) -> tuple[list[SampleFile], list[NotAudio]]:
    """Return the headers of a file and of those after it, and the reason why the next one is not read."""
    headers = [header]
    with path.open("rb") as file:
        while (start := headers[-1].next_file) is not None and len(headers) < MAX_PARTS:
            try:
                following = read_header_at(file, start, size)
            except NotAudio as error:
                return headers, [error]
            if following is None:
                break
            headers.append(following)
    return headers, []


def _joined(headers: Sequence[SampleFile]) -> SampleFile:
    """Return one header for files of the same format that were appended to one another."""
    if len(headers) == 1:
        return headers[0]
    return replace(headers[0], ranges=tuple(part for each in headers for part in each.ranges), is_valid=False)


def _view(path: Path, header: SampleFile) -> Open:
    """Return a function that opens the samples of a file, with a header that FFmpeg reads correctly, or without one."""
    if header.is_valid and not header.raw_format:
        return lambda: path.open("rb")
    start = b"" if header.raw_format else wav_header(header, header.length)
    return lambda: cast("BinaryIO", JoinedFile(path.open("rb"), start, header.ranges))


def _raw_of(header: SampleFile) -> RawFormat | None:
    name = header.raw_format
    return None if name is None else RawFormat(name, header.sample_rate, header.channels)


def _beginning(path: Path, header: SampleFile) -> bytes:
    with path.open("rb") as file:
        return JoinedFile(file, b"", header.ranges).read(_PROBE)
