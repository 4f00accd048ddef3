"""Following redirects with the same method and body, with no I/O (RFC 9110, section 15.4)."""

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urldefrag, urljoin, urlsplit

from adapters.net.redact import redact_url

FOLLOWED: Final = frozenset({301, 302, 307, 308})
"""303 is none of them: it asks for a `GET` of something else."""
MOST: Final = 10
_WEB: Final = frozenset({"http", "https"})


class RedirectRefusedError(Exception):
    """A redirect that leads nowhere: in a circle, too far, to another protocol, or from https to plain http."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """Where a request has got to, and the URLs that it came through."""

    url: str
    seen: tuple[str, ...] = ()
    most: int = MOST

    def follow(self, location: str | None) -> Self:
        """The next place.

        Raises:
            RedirectRefusedError: there is none that may be gone to.
        """
        target = self._target(location)
        seen = (*self.seen, self.url)
        if target in seen:
            raise RedirectRefusedError(f"redirects lead in a circle, back to {redact_url(target)}")
        if len(seen) > self.most:
            raise RedirectRefusedError(f"more than {self.most} redirects")
        return type(self)(target, seen, self.most)

    def _target(self, location: str | None) -> str:
        try:
            target = urldefrag(urljoin(self.url, location or "")).url
            parts, current = urlsplit(target), urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise RedirectRefusedError("a redirect to something that is no URL") from error
        if not location or parts.scheme not in _WEB or not parts.hostname:
            raise RedirectRefusedError("a redirect without an http or https URL to go to")
        if current.scheme == "https" and parts.scheme == "http":
            raise RedirectRefusedError("a redirect from https to plain http: what is sent there could be heard")
        return target
