"""The signature of a Twilio handshake: `X-Twilio-Signature`, the HMAC-SHA1 of the URL with the auth token.

Source: https://www.twilio.com/docs/usage/security#validating-requests. A handshake has no body, so only the URL is
signed: as it is in `<Stream>`, with `wss`. Behind a proxy this server does not see that URL, so its possible forms are
tried. That is safe, because only the owner of the auth token can sign any of them.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha1
from typing import Final
from urllib.parse import urlsplit

HEADER: Final = "x-twilio-signature"
_SCHEMES: Final = ("wss", "https", "ws", "http")
_PORTS: Final = {"wss": ":443", "https": ":443", "ws": ":80", "http": ":80"}


def fault(headers: Mapping[str, str], bases: Sequence[str], target: str, tokens: Sequence[str]) -> str | None:
    """Return why the signature of a handshake is missing or wrong; `None` if it is right. It contains no secret.

    Args:
        headers: the headers, with names in lower case.
        bases: the beginnings of the URL under which clients reach this server: scheme, host and maybe a path.
        target: the path and the query, as received.
        tokens: the auth tokens of the account.
    """
    given = headers.get(HEADER, "").strip().encode()
    if not given:
        return "this ingest address accepts only streams of Twilio: X-Twilio-Signature is missing"
    for url in _forms(bases, target):
        for token in tokens:
            if hmac.compare_digest(signature(url, token).encode(), given):
                return None
    return "X-Twilio-Signature is wrong: compare the auth token, --public-url, and the URL in <Stream>"


def signature(url: str, token: str) -> str:
    """Return the signature of a URL with an auth token."""
    # The protocol needs SHA-1. As an HMAC it is not broken.
    return b64encode(hmac.new(token.encode(), url.encode(), sha1).digest()).decode()


def _forms(bases: Sequence[str], target: str) -> Iterator[str]:
    """Return the forms of the URL: each scheme, with and without the default port, and a slash at the end."""
    path, _, query = target.partition("?")
    ends = [path, path.removesuffix("/") if path.endswith("/") else f"{path}/"]
    for base in bases:
        parts = urlsplit(base)
        for scheme in _SCHEMES:
            host = parts.netloc.removesuffix(_PORTS[scheme])
            for authority in (host, host + _PORTS[scheme]):
                for end in ends:
                    yield f"{scheme}://{authority}{parts.path.rstrip('/')}{end}{f'?{query}' if query else ''}"
