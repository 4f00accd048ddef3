"""Redirects with the same method and body (docs/v2_contract.md, section 7.1; RFC 9110, section 15.4). No I/O."""

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urldefrag, urljoin, urlsplit

from adapters.net.redact import redact_url

FOLLOWED: Final = frozenset({301, 302, 307, 308})
"""The statuses that are followed. 303 is not: it asks for a `GET` of another resource."""
MAX_REDIRECTS: Final = 10
_WEB: Final = frozenset({"http", "https"})


class RedirectRefusedError(Exception):
    """A redirect that is not followed: a loop, too many redirects, another protocol, or from https to plain http."""


@dataclass(frozen=True, slots=True)
class RedirectChain:
    """The current URL of a request, and the URLs before it."""

    url: str
    previous: tuple[str, ...] = ()
    max_redirects: int = MAX_REDIRECTS

    def follow(self, location: str | None) -> Self:
        """Return the chain with the target of a redirect as its current URL.

        Raises:
            RedirectRefusedError: the redirect is not followed.
        """
        target = self._target(location)
        previous = (*self.previous, self.url)
        if target in previous:
            raise RedirectRefusedError(f"the redirects form a loop: {redact_url(target)} was already requested")
        if len(previous) > self.max_redirects:
            raise RedirectRefusedError(f"more than {self.max_redirects} redirects")
        return type(self)(target, previous, self.max_redirects)

    def _target(self, location: str | None) -> str:
        try:
            target = urldefrag(urljoin(self.url, location or "")).url
            parts, current = urlsplit(target), urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise RedirectRefusedError("the target of the redirect is not a URL") from error
        if not location or parts.scheme not in _WEB or not parts.hostname:
            raise RedirectRefusedError("the redirect has no http or https URL")
        if current.scheme == "https" and parts.scheme == "http":
            raise RedirectRefusedError("the redirect leads from https to plain http, which is not encrypted")
        return target
