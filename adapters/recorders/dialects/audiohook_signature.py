"""The signature of an AudioHook handshake: HTTP message signatures with HMAC-SHA256 (RFC 9421, earlier drafts).

The key is not stored: it is made of the secret in the address. Genesys is configured with the id of the address as the
API key, and with `client_secret` of the address's secret as the client secret.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from recordings.model.instants import SECOND, Millis

MAX_SKEW: Final = 3
"""Seconds that the clocks may differ, as in the reference implementation."""
MAX_AGE: Final = 60
"""Maximum age of a signature (seconds), if it does not say when it expires."""
REQUIRED: Final = frozenset({"@request-target", "audiohook-session-id"})
"""Components that a signature must cover, in addition to the host."""
_INPUT: Final = re.compile(r'([a-z][a-z0-9_-]*)=(\(("[a-z@-]+"(?: "[a-z@-]+")*)\)((?:;[a-z]+=(?:"[^"]*"|[0-9]+))*))')
_PARAMETER: Final = re.compile(r';([a-z]+)=(?:"([^"]*)"|([0-9]+))')
_HOSTS: Final = frozenset({"@authority", "host"})


def client_secret(secret: str) -> str:
    """Return the client secret to configure in Genesys, in base64, for the secret of an ingest address."""
    return base64.b64encode(secret.encode()).decode()


def is_signed(headers: Mapping[str, str]) -> bool:
    """Return true if a handshake has an API key or a signature, so that they must be checked."""
    return any(name in headers for name in ("x-api-key", "signature", "signature-input"))


def fault(headers: Mapping[str, str], target: str, address: str, secret: str, now: Millis) -> str | None:
    """Return why a handshake's API key or signature is wrong; `None` if they are right. It contains no secret.

    Args:
        headers: the headers, with names in lower case.
        target: the path and the query, as received.
        address: the id of the ingest address, which is the API key.
        secret: the secret of the address.
        now: the current time.
    """
    if not hmac.compare_digest(headers.get("x-api-key", "").encode(), address.encode()):
        return "X-API-KEY must be the id of the ingest address"
    if "signature-input" not in headers:
        return "signature without signature-input" if "signature" in headers else None
    match = _INPUT.fullmatch(headers["signature-input"].strip())
    if match is None:
        return "signature-input cannot be read"
    label, signed, names, parameter_text = match.groups()
    components = [name.strip('"') for name in names.split(" ")]
    parameters = {name: text or number for name, text, number in _PARAMETER.findall(parameter_text)}
    found = _coverage_fault(components, parameters, address) or _time_fault(parameters, now // SECOND)
    if found is not None:
        return found
    derived = {"@request-target": target, "@authority": headers.get("host", "").lower()}
    lines = [f'"{name}": {derived.get(name, headers.get(name, "")).strip()}' for name in components]
    lines.append(f'"@signature-params": {signed}')
    expected = hmac.new(secret.encode(), "\n".join(lines).encode(), sha256).digest()
    given = _bytes(headers.get("signature", "").strip(), label)
    return None if hmac.compare_digest(given, expected) else "the signature is wrong"


def _coverage_fault(components: Sequence[str], parameters: Mapping[str, str], address: str) -> str | None:
    if not {*components} >= REQUIRED or _HOSTS.isdisjoint(components) or len({*components}) < len(components):
        return f"the signature must cover {', '.join(sorted(REQUIRED))} and @authority"
    if parameters.get("alg", "hmac-sha256") != "hmac-sha256" or parameters.get("keyid") != address:
        return "the signature must be hmac-sha256 with the API key as keyid"
    return None


def _time_fault(parameters: Mapping[str, str], now: int) -> str | None:
    created, expires = parameters.get("created", ""), parameters.get("expires", "")
    if not created.isdecimal():
        return "the signature has no created"
    if int(created) > now + MAX_SKEW:
        return "the signature is from the future: compare the clocks"
    end = int(expires) if expires.isdecimal() else int(created) + MAX_AGE
    return "the signature has expired" if end < now - MAX_SKEW else None


def _bytes(signature: str, label: str) -> bytes:
    """Return the bytes of `label=:base64:`; none if the text is not that."""
    start = f"{label}=:"
    if not (signature.startswith(start) and signature.endswith(":")):
        return b""
    try:
        return binascii.a2b_base64(signature[len(start) : -1], strict_mode=True)
    except ValueError:
        return b""
