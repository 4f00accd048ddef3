"""Delays between failed logins, by account and by client address, in bounded memory.

After a few failures, the next login must wait: first a second, then twice as long each time. A login counts as failed
from its beginning, so simultaneous guesses are counted before their results are known.

A client has a delay of its own for each account. A client that never logged in to the account is also subject to the
delay of the account, which counts the failures of all such clients. So guesses from many addresses are slowed down, and
they do not lock out the clients that have logged in before. No delay is longer than a minute.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from math import ceil
from secrets import token_bytes
from typing import Final

CLIENT_FREE: Final = 5
"""Failures of one client without a delay."""
ACCOUNT_FREE: Final = 10
"""Failures of all clients that never logged in, without a delay."""
CLIENT_MAX: Final = 60.0
"""The longest delay of a client, in seconds."""
ACCOUNT_MAX: Final = 15.0
"""The longest delay of an account. It is shorter, because it also affects people at a new address."""
FORGET: Final = 900.0
"""Seconds after the last failure until all failures are forgotten."""
MAX_ENTRIES: Final = 16_384
_MAX_GUESSES: Final = 64
_MAX_DOUBLINGS: Final = 10
_MAX_CLIENT: Final = 64


@dataclass(slots=True)
class _Failures:
    number: int = 0
    last: float = 0.0
    guesses: list[bytes] = field(default_factory=list)


class LoginDelays:
    """Counts failed logins. Each process has its own counts."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic, *, max_entries: int = MAX_ENTRIES) -> None:
        self._seconds = seconds
        self._max = max_entries
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()
        self._known: OrderedDict[Hashable, float] = OrderedDict()
        """The clients that logged in, and when their failures were last forgotten."""
        self._secret = token_bytes(16)

    def begin(self, account: str, client: str, guess: str) -> int:
        """Begin a login, and count it as failed. Return 0, or the seconds to wait if it must not be tried now.

        For the account, the same guess of the same client counts once: a program with an old password delays only
        itself.
        """
        now, key = self._seconds(), (account, network_of(client))
        own = self._find(key, now)
        wait = own.last + _delay(own.number - CLIENT_FREE, CLIENT_MAX) - now
        of_account = None
        if key not in self._known:
            of_account = self._find((account, None), now)
            wait = max(wait, of_account.last + _delay(of_account.number - ACCOUNT_FREE, ACCOUNT_MAX) - now)
        if wait > 0:
            return ceil(wait)
        own.number, own.last = own.number + 1, now
        if of_account is not None and (mark := self._mark(key, guess)) not in of_account.guesses:
            of_account.guesses = [*of_account.guesses[1 - _MAX_GUESSES :], mark]
            of_account.number, of_account.last = of_account.number + 1, now
        return 0

    def succeed(self, account: str, client: str, guess: str) -> None:
        """End a login with success. The client's failures are forgotten, and those of the account stay.

        They are forgotten once in `FORGET` seconds, because a user who knows one password could otherwise guess others.
        """
        key, now = (account, network_of(client)), self._seconds()
        self.undo(account, client, guess)
        if now - self._known.get(key, now - FORGET) >= FORGET:
            self._known[key] = now
            self._failures.pop(key, None)
        self._known.move_to_end(key)
        if len(self._known) > self._max:
            self._known.popitem(last=False)

    def undo(self, account: str, client: str, guess: str) -> None:
        """Uncount a login, for example because its user is one of another account. The client's failures stay."""
        key = (account, network_of(client))
        if (own := self._failures.get(key)) is not None:
            own.number -= 1
        of_account, mark = self._failures.get((account, None)), self._mark(key, guess)
        if of_account is not None and mark in of_account.guesses:
            # `begin` counted this login.
            of_account.guesses.remove(mark)
            of_account.number -= 1

    def _mark(self, key: tuple[str, str], guess: str) -> bytes:
        text = f"{key[1]} {guess}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._secret, digest_size=8).digest()

    def _find(self, key: Hashable, now: float) -> _Failures:
        failures = self._failures.pop(key, None)
        if failures is None or now - failures.last > FORGET:
            failures = _Failures(last=now)
        self._failures[key] = failures
        if len(self._failures) > self._max:
            self._failures.popitem(last=False)
        return failures


def _delay(excess: int, longest: float) -> float:
    """Return the seconds to wait after so many failures above the free ones."""
    return 0.0 if excess < 0 else min(2.0 ** min(excess, _MAX_DOUBLINGS), longest)


def network_of(client: str) -> str:
    """Return the key of a client's address: an IPv6 address counts as its network of 64 bits."""
    try:
        address = ip_address(client)
    except ValueError:
        return client[:_MAX_CLIENT]
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or (int(address) >> 64))
    return client
