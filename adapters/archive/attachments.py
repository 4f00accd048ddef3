"""Choose the attachment that is a document's audio, without I/O."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from adapters.archive.inline_audio import AttachmentError, InlineAudio
from adapters.archive.providers import ProviderError, provider_url

_MD5: Final = "md5-"
_MD5_LENGTH: Final = 16
_AUDIO_TYPES: Final = ("audio/", "video/", "application/ogg")
_AUDIO_NAMES: Final = frozenset(
    {".mp3", ".wav", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".flac", ".gsm", ".amr", ".au", ".aif", ".aiff"}
    | {".webm", ".mka", ".w64", ".sln", ".sln16", ".ulaw", ".alaw", ".g722", ".ul", ".al", ".3gp"}
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """The audio of a document.

    It is inside the document, or at a storage provider (`url`), or in a file called `name`. `length` (bytes) and `md5`
    are the values that CouchDB stored; `None` if it stored none. `is_declared` is true if the document itself says that
    it has audio.
    """

    name: str
    content_type: str = ""
    length: int | None = None
    md5: bytes | None = None
    inline: InlineAudio | None = field(default=None, compare=False)
    url: str | None = None
    provider_problem: str | None = None
    is_declared: bool = True

    @property
    def is_audio(self) -> bool:
        """Whether its media type or its file name extension is one of audio."""
        extension = PurePosixPath(self.name).suffix.lower()
        return self.content_type.lower().startswith(_AUDIO_TYPES) or extension in _AUDIO_NAMES

    def difference(self, length: int, md5: bytes) -> str | None:
        """Return a text about the difference between these bytes and the attachment; `None` if they are the same."""
        if self.length is not None and length != self.length:
            return f"it has {length} bytes, but the attachment has {self.length}"
        if self.md5 is not None and md5 != self.md5:
            return f"its MD5 digest is {_text_of(md5)}, but the attachment has {_text_of(self.md5)}"
        return None


def audio_of(document: Mapping[str, Any], exists: Callable[[str], bool]) -> Attachment | None:
    """Return the attachment that is the audio of a document; `None` if the document names no audio.

    It is the attachment with the document's `name`; otherwise one with an audio type; otherwise any attachment. Of
    several, it is the first one whose audio exists. `exists` returns true if there is a file of this name. Without
    attachments, it is the file with the document's `name`.

    Raises:
        AttachmentError: the attachments are not an object.
    """
    attachments, name = _attachments(document), _name(document)
    for attachment in attachments:
        if attachment.name == name:
            return attachment
    named = None if name is None else Attachment(name, length=None, is_declared=_declares_audio(document))
    if named is not None and exists(named.name):
        return named
    audio = [attachment for attachment in attachments if attachment.is_audio]
    candidates = audio or attachments
    return next((each for each in candidates if _has_audio(each, exists)), next(iter(candidates), named))


def _has_audio(attachment: Attachment, exists: Callable[[str], bool]) -> bool:
    return attachment.inline is not None or attachment.url is not None or exists(attachment.name)


def _name(document: Mapping[str, Any]) -> str | None:
    name = document.get("name")
    if isinstance(name, int | float) and not isinstance(name, bool):
        return str(name)
    return name if isinstance(name, str) and name else None


def _declares_audio(document: Mapping[str, Any]) -> bool:
    shown = document.get("_read_only")
    return isinstance(shown, Mapping) and bool(shown.get("content_types"))


def _attachments(document: Mapping[str, Any]) -> Sequence[Attachment]:
    """Return all attachments. CouchDB's own ones come first; Kazoo merges the two objects in the same way."""
    found: dict[str, Any] = {}
    for field_name in ("_attachments", "pvt_attachments"):
        value = document.get(field_name) or {}
        if not isinstance(value, Mapping):
            message = f"{field_name} must be an object, not {str(value)[:80]!r}"
            raise AttachmentError(message)
        for name, about in value.items():
            found[name] = {**found.get(name, {}), **(about if isinstance(about, Mapping) else {})}
    return [_attachment(name, about) for name, about in found.items()]


def _attachment(name: str, about: Mapping[str, Any]) -> Attachment:
    handler, url, problem = about.get("handler"), None, None
    if handler:
        try:
            url = provider_url(handler)
        except ProviderError as error:
            problem = str(error)
    data, content_type, length = about.get("data"), about.get("content_type"), about.get("length")
    # If CouchDB compressed the attachment itself, the digest is that of the compressed bytes.
    is_packed = about.get("encoding") not in {None, "", "identity"}
    return Attachment(
        name=_linked_name(handler) or name,
        content_type=content_type if isinstance(content_type, str) else "",
        length=_length(length),
        md5=None if is_packed else _md5(about.get("digest")),
        inline=data if isinstance(data, InlineAudio) else None,
        url=url,
        provider_problem=problem,
    )


def _linked_name(handler: Any) -> str | None:
    """Return the name of an attachment of another document, to which `kz_att_link` refers."""
    link = handler.get("kz_att_link") if isinstance(handler, Mapping) else None
    name = link.get("att_name") if isinstance(link, Mapping) else None
    return name if isinstance(name, str) and name else None


def _length(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return int(value) if isinstance(value, int | float) and value >= 0 and value == int(value) else None


def _md5(digest: Any) -> bytes | None:
    """Return the digest of an attachment. Return `None` for a text that is not an MD5 digest."""
    if not isinstance(digest, str) or not digest.startswith(_MD5):
        return None
    try:
        found = base64.b64decode(digest.removeprefix(_MD5), validate=True)
    except binascii.Error:
        return None
    return found if len(found) == _MD5_LENGTH else None


def _text_of(md5: bytes) -> str:
    return f"{_MD5}{base64.b64encode(md5).decode()}"
