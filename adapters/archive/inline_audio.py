"""Audio inside a document: base64 text of any length, decoded in chunks."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from adapters.archive.json_splitter import LONG_TEXT, PLACEHOLDER

_CHUNK: Final = 1 << 18
_FIELDS: Final = ("_attachments", "pvt_attachments")
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CUT_ESCAPE: Final = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?$")
_SPACE: Final = bytes(ord(character) for character in " \t\r\n")
_WHITE: Final = {ord(character): b"" for character in "nrtbf"}


class AttachmentError(ValueError):
    """The attachment cannot be used. The message says why."""


@dataclass(frozen=True, slots=True)
class InlineAudio:
    """The base64 text of an attachment: a text, or a file with the text as it is in JSON, with its escapes."""

    text: str | BinaryIO

    def chunks(self) -> Iterator[bytes]:
        """Yield the decoded bytes.

        Raises:
            AttachmentError: the text is not base64.
        """
        rest, is_padded = b"", False
        for part in self._texts():
            text = rest + part.translate(None, _SPACE)
            whole = len(text) // 4 * 4
            rest = text[whole:]
            if is_padded and text:
                break
            is_padded = text[:whole].endswith(b"=")
            yield _decoded(text[:whole])
        else:
            # Some writers leave out the padding.
            yield _decoded(rest + b"=" * (-len(rest) % 4))
            return
        message = "the attachment's data is not base64: it has characters after its end"
        raise AttachmentError(message)

    def close(self) -> None:
        """Delete the temporary file, if there is one."""
        if not isinstance(self.text, str):
            self.text.close()

    def _texts(self) -> Iterator[bytes]:
        if isinstance(self.text, str):
            yield self.text.encode(errors="replace")
            return
        self.text.seek(0)
        rest = b""
        while chunk := self.text.read(_CHUNK):
            part = rest + chunk
            cut = _CUT_ESCAPE.search(part)
            end = cut.start() if cut else len(part)
            rest = part[end:]
            yield _ESCAPE.sub(_unescaped, part[:end])
        yield rest


def _unescaped(found: "re.Match[bytes]") -> bytes:
    if found[1]:
        return chr(int(found[1], 16)).encode(errors="replace")
    return _WHITE.get(found[2][0], found[2])


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        message = f"the attachment's data is not base64: {error}"
        raise AttachmentError(message) from error


def with_inline_audio(value: Any, long_texts: Sequence[BinaryIO]) -> Any:
    """Return a parsed value with `InlineAudio` in place of the data of its attachments.

    Raises:
        ValueError: it has a long text elsewhere.
    """
    placed: set[int] = set()
    changed = _with_audio(value, long_texts, placed)
    if len(placed) < len(long_texts):
        message = f"it has a text of more than {LONG_TEXT} bytes that is not the data of an attachment"
        raise ValueError(message)
    return changed


def _with_audio(value: Any, long_texts: Sequence[BinaryIO], placed: set[int]) -> Any:
    if isinstance(value, list):
        return [_with_audio(item, long_texts, placed) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for name, item in value.items():
        if name in _FIELDS and isinstance(item, dict):
            changed[name] = {each: _attachment(about, long_texts, placed) for each, about in item.items()}
        elif name in {"doc", "docs", "ok", "rows", "results", "data", "value"}:
            changed[name] = _with_audio(item, long_texts, placed)
        else:
            changed[name] = item
    return changed


def _attachment(about: Any, long_texts: Sequence[BinaryIO], placed: set[int]) -> Any:
    if not isinstance(about, dict) or not isinstance(about.get("data"), str):
        return about
    text: str = about["data"]
    number = text.removeprefix(PLACEHOLDER)
    if number != text and number.isdecimal() and int(number) < len(long_texts):
        placed.add(int(number))
        return about | {"data": InlineAudio(long_texts[int(number)])}
    return about | {"data": InlineAudio(text)}


def without_inline(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the audio inside it, as CouchDB shows it if attachments are not requested."""
    changed = dict(document)
    for field, name, about in _inline(document):
        attachments = {**changed[field]}
        attachments[name] = {key: value for key, value in about.items() if key != "data"} | {"stub": True}
        changed[field] = attachments
    return changed


def close_inline(document: Mapping[str, Any]) -> None:
    """Delete the temporary files of the audio inside a document."""
    for _field, _name, about in _inline(document):
        about["data"].close()


def _inline(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for field in _FIELDS:
        attachments = document.get(field)
        for name, about in attachments.items() if isinstance(attachments, dict) else ():
            if isinstance(about, dict) and isinstance(about.get("data"), InlineAudio):
                yield field, name, about
