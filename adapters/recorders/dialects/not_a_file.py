"""Recognise bodies that are not files: callbacks, pages, and files that a client sent as form data.

`curl -d @FILE` removes every NUL, CR and LF from a file. `curl --data-binary @FILE` sends the same content type and the
whole file. So only the bytes show which of them was used.
"""

import re
from typing import Final

HEAD: Final = 1_024
"""How many bytes `describe` needs, unless the body is shorter."""
FORM: Final = "application/x-www-form-urlencoded"
SEND: Final = "send the file itself, with curl -T FILE or curl --data-binary @FILE"
_TEXT: Final = re.compile(rb"[\x20-\x7e\r\n\t]+")
_NAMES: Final = re.compile(rb"(?:^|&)([A-Za-z0-9_.%\[\]-]{1,40})=")
_REMOVED: Final = (b"\0", b"\r", b"\n")
_NEIGHBOURS: Final = (b"\x01", b"\x09", b"\x0b", b"\x0c", b"\x0e")
MIN_NEIGHBOURS: Final = 40
"""If this many bytes have a value beside the removed ones, and none has a removed value, they were removed."""
_NEEDS_NUL: Final = (b"RIFF", b"RF64", b"RIFX", b"FORM", b".snd", b"OggS", b"fLaC", b"ID3", b"caff")
"""Files with these first bytes always have a byte with the value 0."""


def is_suspicious(media_type: str) -> bool:
    """Return true if bodies of this media type are usually not audio files. Then `describe` must see the head."""
    return media_type == FORM or _is_json(media_type) or _is_markup(media_type)


def describe(media_type: str, head: bytes) -> str | None:
    """Return a message if the media type and the first bytes of a body show that it is not an audio file."""
    begin = head.lstrip()[:1]
    if _is_json(media_type) and begin in {b"{", b"["}:
        return f"the body is JSON, not an audio file: {SEND}"
    if _is_markup(media_type) and begin == b"<":
        return f"the body is a document in {media_type}, not an audio file: {SEND}"
    if media_type == FORM and _TEXT.fullmatch(head) and (names := _NAMES.findall(head)):
        given = ", ".join(name.decode() for name in names[:3])
        return f"the body is a form of parameters ({given}), not an audio file: {SEND}"
    return None


class RemovedBytes:
    """Notices a file from which NUL, CR and LF were removed."""

    def __init__(self) -> None:
        self._head = b""
        self._is_whole = False
        self._neighbours = 0

    def feed(self, data: bytes) -> None:
        """Look at the next bytes of the file."""
        if self._is_whole:
            return
        self._head = (self._head + data[:4])[:4]
        self._is_whole = any(value in data for value in _REMOVED)
        self._neighbours += sum(data.count(value) for value in _NEIGHBOURS)

    @property
    def problem(self) -> str | None:
        """The fault of the file; `None` if there is none."""
        if self._is_whole or not (self._head.startswith(_NEEDS_NUL) or self._neighbours >= MIN_NEIGHBOURS):
            return None
        return f"the body is a form, as curl -d sends it, and bytes of the file are missing: {SEND}"


def _is_json(media_type: str) -> bool:
    return media_type in {"application/json", "text/json"} or media_type.endswith("+json")


def _is_markup(media_type: str) -> bool:
    return media_type in {"text/html", "text/xml", "application/xml"} or media_type.endswith("+xml")
