"""Safe outgoing requests: which hosts may be reached, how redirects are followed, and what errors may show.

The HTTP media store and the deliveries share this package. `public_addresses`, `guard` and `redirects` are pure.
`guarded_client` applies the guard to aiohttp, and `guarded_sockets` to plain connections. The client is aiohttp for two
reasons: its streams cost a third of the CPU time of the pure-Python clients, and its connector connects to exactly the
addresses that this package resolved and checked.
"""

from adapters.net.guard import AddressRefusedError, Guard, UnresolvedHostError
from adapters.net.guarded_client import Limits, open_session
from adapters.net.guarded_sockets import connect, reachable
from adapters.net.redact import redact_url
from adapters.net.redirects import RedirectChain, RedirectRefusedError

__all__ = [
    "AddressRefusedError",
    "Guard",
    "Limits",
    "RedirectChain",
    "RedirectRefusedError",
    "UnresolvedHostError",
    "connect",
    "open_session",
    "reachable",
    "redact_url",
]
