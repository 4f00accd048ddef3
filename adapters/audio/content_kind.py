"""What a file contains, by its first bytes: where the audio begins, and a name for a message."""

import re
from typing import BinaryIO, Final

from adapters.audio.sample_file import read_at

_AUDIO: Final = re.compile(
    rb"RIF[FX]....WAVE|RF64....WAVE|BW64....WAVE|riff\x2e\x91\xcf\x11|FORM....AIF[FC]|\.snd\x00\x00|OggS\x00\x02|fLaC\x00"
    rb"|\x1aE\xdf\xa3|#!AMR|caff\x00\x01|....ftyp",
    re.DOTALL,
)
"""The first bytes of the audio files that have a clear beginning."""
_LONGEST_JUNK: Final = 4_096
"""Bytes that may come before the audio: blank lines, the head of a form or of an HTTP response, zeros."""
_MAX_TAGS: Final = 8
_FRAMES: Final = 4
"""Frames in a row that show that a file is MP3, AAC or GSM."""
_GSM_FRAME: Final = 33
_GSM_MARK: Final = 0xD
_TEXT: Final = re.compile(rb"[\t\r\n\x20-\x7e]{64}")
_NAMES: Final = (
    (re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\s*<\?xml"), "an XML document"),
    (re.compile(rb"\s*[{\[]\s*[\"{\[\]}]"), "a JSON document"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "gzip data"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "an AVI file"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "a Windows Media file (ASF, WMA)"),
    (re.compile(rb"\x47.{187}\x47", re.DOTALL), "an MPEG transport stream"),
    (re.compile(rb"wvpk"), "WavPack audio"),
    (re.compile(rb"MAC "), "Monkey's Audio"),
    (re.compile(rb"\.RMF|\.ra\xfd"), "RealAudio"),
    (re.compile(rb"NIST_1A"), "a NIST SPHERE file"),
    (re.compile(rb"Creative Voice File"), "a Creative Voice file"),
    (re.compile(rb"#!SILK"), "SILK audio"),
    (re.compile(rb"\x02?#!SILK_V3"), "SILK audio"),
    (re.compile(rb"DSD "), "a DSD file"),
    (re.compile(rb"MThd"), "a MIDI file"),
    (re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8"), "an image"),
    (re.compile(rb"#EXTM3U"), "a playlist"),
    (re.compile(rb"RIF[FX]....WAVE|RF64|BW64", re.DOTALL), "a WAV file"),
    (re.compile(rb"OggS"), "an Ogg file"),
    (re.compile(rb"fLaC"), "a FLAC file"),
    (re.compile(rb"\x1aE\xdf\xa3"), "a WebM or Matroska file"),
    (re.compile(rb"....(?:ftyp|moov|mdat)", re.DOTALL), "an MP4 file"),
    (re.compile(rb"#!AMR"), "an AMR file"),
    (re.compile(rb"caff"), "a CAF file"),
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), "an AIFF file"),
    (re.compile(rb"\.snd"), "an AU file"),
    (re.compile(rb"ID3"), "an MP3 tag (ID3)"),
)


def audio_start(file: BinaryIO) -> int:
    """Return where the audio begins: after ID3 tags, blank lines, a byte order mark or the head of a form.

    It is 0 if nothing is known about the first bytes.
    """
    start = after_tags(file)
    head = read_at(file, start, _LONGEST_JUNK + 16)
    found = _AUDIO.search(head)
    if found is None or (start == 0 and has_frames(head)):
        return 0
    return start + found.start() if found.start() <= _LONGEST_JUNK else 0


def name_of(file: BinaryIO) -> str | None:
    """Return what a file is, for a message; `None` if it is not known."""
    head = read_at(file, 0, 512)
    for pattern, name in _NAMES:
        if pattern.match(head):
            return name
    return "text" if _TEXT.match(head) else None


def is_known(head: bytes) -> bool:
    """Return true if the first bytes of a file show its format, so that its name does not matter."""
    known = any(pattern.match(head) for pattern, _name in _NAMES if pattern.pattern != rb"\x1f\x8b")
    return known or has_frames(head) or _TEXT.match(head) is not None


def has_frames(head: bytes) -> bool:
    """Return true if a file begins with several frames of MP3, AAC (ADTS) or GSM."""
    if has_gsm_frames(head):
        return True
    at = 0
    for _ in range(_FRAMES):
        length = mpeg_frame(head[at : at + 6])
        if length is None:
            return False
        at += length
    return True


def has_gsm_frames(head: bytes) -> bool:
    """Return true if a file begins with several frames of GSM. Each begins with the same four bits."""
    starts = range(0, min(len(head), 16 * _GSM_FRAME), _GSM_FRAME)
    return len(starts) >= 2 * _FRAMES and all(head[at] >> 4 == _GSM_MARK for at in starts)


_MPEG1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG1_LAYER2: Final = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_MPEG2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES: Final = (44_100, 48_000, 32_000)
_HALVED: Final = {3: 0, 2: 1, 0: 2}
"""How often the rate of a version is halved: MPEG 1, 2 and 2.5."""


def mpeg_frame(head: bytes) -> int | None:
    """Return the length in bytes of a frame of MP3, MP2 or ADTS by its header; `None` if it is none."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004 - the sync word
        return None
    if head[1] & 0xF6 == 0xF0:  # noqa: PLR2004 - ADTS
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return length if length > 7 and head[2] >> 2 & 15 < 13 else None  # noqa: PLR2004 - the header, the rates
    version, layer, bits, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer not in {1, 2} or not 0 < bits < 15 or rate == 3:  # noqa: PLR2004 - reserved values
        return None
    hertz = _RATES[rate] >> _HALVED[version]
    table = _MPEG2 if version != 3 else _MPEG1 if layer == 1 else _MPEG1_LAYER2  # noqa: PLR2004 - MPEG 1
    samples = 72 if version != 3 and layer == 1 else 144  # noqa: PLR2004 - MPEG 1
    return samples * table[bits] * 1_000 // hertz + (head[2] >> 1 & 1)


def mpeg_duration_ms(head: bytes, frames: int) -> int | None:
    """Return the length of so many frames of MPEG audio like the one with this header, in milliseconds."""
    if mpeg_frame(head) is None or head[1] & 0xF6 == 0xF0:  # noqa: PLR2004 - ADTS
        return None
    version, layer, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3
    samples = 576 if version != 3 and layer == 1 else 1_152  # noqa: PLR2004 - MPEG 1
    return round(1_000 * frames * samples / (_RATES[rate] >> _HALVED[version]))


def after_tags(file: BinaryIO) -> int:
    """Return where the ID3v2 tags at the start of a file end."""
    at = 0
    for _ in range(_MAX_TAGS):
        head = read_at(file, at, 10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:  # noqa: PLR2004 - of the format
            break
        at += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)
    return at
