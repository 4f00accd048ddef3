"""The SIP realm of an account: the domain in the addresses of its parties."""

import re
from typing import Final

from recordings.model.errors import InvalidInput

_MAX_LENGTH: Final = 253
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_REALM: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_RESERVED: Final = ".invalid"


def default_realm(account_id: str) -> str:
    """Return the realm of an account without one of its own. The domain does not exist (RFC 2606, section 2)."""
    return f"{account_id[:12]}.sip{_RESERVED}"


def check_realm(realm: str) -> str:
    """Check a realm and return it in lower case.

    Raises:
        InvalidInput: it is not a host name, or could be the default realm of another account.
    """
    lower = realm.lower()
    if len(lower) > _MAX_LENGTH or not _REALM.fullmatch(lower):
        allowed = f"a host name of at most {_MAX_LENGTH} characters, such as acme.sip.example.com"
        raise InvalidInput.of(("realm",), "pattern", realm, allowed)
    if lower.endswith(_RESERVED):
        raise InvalidInput.of(("realm",), "pattern", realm, f"a name that does not end in {_RESERVED}")
    return lower
