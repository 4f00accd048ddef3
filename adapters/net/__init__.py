"""Going out to hosts that somebody named: which may be reached, how far, and how it is told when it fails.

Shared by the HTTP store and by delivery. The rules are pure, in `addresses`, `guard` and `redirects`; `client` holds
aiohttp to them, `sockets` whatever takes a plain connection. aiohttp, because its streams cost a third of the processor
time of the pure-Python clients, and because one resolution, whose addresses we see, is what its connector connects to.
"""

from adapters.net.guard import AddressRefusedError, Guard
from adapters.net.guarded_client import Limits, open_session
from adapters.net.guarded_sockets import connect, reachable
from adapters.net.redact import redact_url
from adapters.net.redirects import Redirected, RedirectRefusedError

__all__ = [
    "AddressRefusedError",
    "Guard",
    "Limits",
    "RedirectRefusedError",
    "Redirected",
    "connect",
    "open_session",
    "reachable",
    "redact_url",
]
