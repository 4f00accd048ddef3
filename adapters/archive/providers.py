"""Find the URL of an attachment at a storage provider, for each handler of Kazoo's storage plans, without I/O.

Kazoo stores the settings of the plan and the name of the object as an Erlang term in base64. The credentials in these
settings are not used: the operator gives the service its own credentials.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from adapters.archive.erlang_term import ErlangTermError, decode_term

_GOOGLE: Final = "https://www.googleapis.com"
_MICROSOFT: Final = "https://graph.microsoft.com/v1.0"
_WEB: Final = frozenset({"http", "https"})
_INSTEAD: Final = "copy the audio into the folder for --media"


class ProviderError(ValueError):
    """The audio cannot be read at this provider. The message says why, without a secret."""


def provider_url(handler: Any) -> str:
    """Return the URL of an attachment.

    Raises:
        ProviderError: the handler is unknown, or does not say where the attachment is.
    """
    if not isinstance(handler, Mapping) or len(handler) != 1:
        message = f"the handler of the attachment must be an object with one name: {_INSTEAD}"
        raise ProviderError(message)
    ((name, values),) = handler.items()
    find = _PROVIDERS.get(name)
    if find is None:
        message = f"audio of the handler {str(name)[:80]!r} cannot be read from its provider: {_INSTEAD}"
        raise ProviderError(message)
    try:
        return find(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, ProviderError) else "it does not say where the audio is"
        message = f"the handler {name} cannot be used: {reason}; {_INSTEAD}"
        raise ProviderError(message) from error


def _http(values: Mapping[str, Any]) -> str:
    url: str = values["url"]
    parts = urlsplit(url)
    if values.get("base64_encode_data") in {True, "true"}:
        message = "the provider has the audio as base64 text"
        raise ProviderError(message)
    if parts.scheme not in _WEB or not parts.hostname or not url.isprintable() or " " in url:
        message = "its url must begin with http:// or https://"
        raise ProviderError(message)
    return url


def _s3(values: Mapping[str, Any]) -> str:
    settings, path = _object(values["S3"])
    bucket = _text(settings["bucket"])
    if not bucket or "/" in bucket:
        message = "it has no bucket"
        raise ProviderError(message)
    # The media store uses the rest of such a URL as the key and does not decode it.
    return f"s3://{bucket}/{_text(path)}"


def _google_storage(values: Mapping[str, Any]) -> str:
    settings, content = _object(values["gstorage"])
    if isinstance(content, bytes):
        return _http({"url": content.decode()})
    _name, path = content
    return f"{_GOOGLE}/storage/v1/b/{_quoted(settings['bucket'])}/o/{_quoted(path)}?alt=media"


def _google_drive(values: Mapping[str, Any]) -> str:
    _settings, content = _term(values["gdrive"])
    return f"{_GOOGLE}/drive/v3/files/{_quoted(content)}?alt=media"


def _azure(values: Mapping[str, Any]) -> str:
    settings, path = _object(values["azure"])
    account, container = _text(settings["account"]), _text(settings["container"])
    if not account.isalnum():
        message = "it has no account"
        raise ProviderError(message)
    return f"https://{account}.blob.core.windows.net/{quote(container, safe='')}/{quote(_text(path))}"


def _one_drive(values: Mapping[str, Any]) -> str:
    _settings, (drive, item) = _term(values["onedrive"])
    return f"{_MICROSOFT}/drives/{_quoted(drive)}/items/{_quoted(item)}/content"


_PROVIDERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "kz_att_http": _http,
    "kz_att_s3": _s3,
    "kz_att_google_storage": _google_storage,
    "kz_att_google_drive": _google_drive,
    "kz_att_azure": _azure,
    "kz_att_onedrive": _one_drive,
}


def _object(text: Any) -> tuple[Mapping[str, Any], Any]:
    """Return the settings of a storage plan, by name, and the name of the object."""
    term = _term(text)
    if isinstance(term, dict):
        # A later form has the name of the object in the settings.
        settings = _by_name(term)
        return settings, settings["file"]
    settings, content = term
    return _by_name(settings), content


def _by_name(settings: Mapping[Any, Any]) -> Mapping[str, Any]:
    return {_text(name): value for name, value in settings.items()}


def _term(text: Any) -> Any:
    try:
        return decode_term(base64.b64decode(text, validate=True))
    except (binascii.Error, ErlangTermError, TypeError) as error:
        message = "its data is not an Erlang term"
        raise ProviderError(message) from error


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return "".join(map(chr, value))
    if isinstance(value, str):
        return value
    raise TypeError


def _quoted(value: Any) -> str:
    return quote(_text(value), safe="")
