"""Whose a digest of name and password is. Hashing goes to a thread: it takes its time, on purpose."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.model.user import Method, PrivLevel, User, hash_credential
from recordings.use_cases.users import ManageUsers

_AT_ONCE: Final = 2
"""Each takes 16 MiB and a core."""
_KEPT: Final = 1_024
_TTL: Final = 60.0
_SHA1_DIGITS: Final = 40


class LoginDigests:
    """Finds users by their credentials. What was found is remembered for a minute: Basic sends it each time."""

    def __init__(self, members: ManageUsers, seconds: Callable[[], float] = time.monotonic) -> None:
        self._members = members
        self._seconds = seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._known: OrderedDict[bytes, tuple[float, User]] = OrderedDict()

    async def find(
        self,
        credentials: str,
        method: Method,
        *,
        name: str | None = None,
        realm: str | None = None,
        number: str | None = None,
    ) -> User | None:
        """The user with these credentials in the account of a phone number, a realm or a name."""
        if name is None and realm is None and number is None:
            return None
        for account in await self._members.candidates(name=name, realm=realm, number=number):
            if user := await self._whose(account.id, method, credentials):
                return user
        return None

    async def basic(self, account_id: str, credentials: str) -> Principal | None:
        """The principal of Basic credentials; which digest they are shows in their length."""
        method = Method.SHA if len(credentials) == _SHA1_DIGITS else Method.MD5
        key = _key(account_id, credentials)
        user = self._remembered(key) or await self._whose(account_id, method, credentials)
        if user is None:
            return None
        self._remember(key, user)
        return self.principal(user)

    def remembers(self, account_id: str, credentials: str) -> bool:
        """Whether Basic credentials held a short while ago, and need not be hashed."""
        return self._remembered(_key(account_id, credentials)) is not None

    def principal(self, user: User) -> Principal:
        """A user as a principal: an administrator is not held to recordings of their own."""
        owner = None if user.priv_level is PrivLevel.ADMIN else user.id
        return Principal(user.account_id, frozenset(DEFAULT_SCOPES), owner, user.username[:64])

    async def _whose(self, account_id: str, method: Method, credentials: str) -> User | None:
        async with self._slots:
            hashed = await asyncio.to_thread(hash_credential, account_id, method, credentials)
        return await self._members.whose(account_id, method, hashed)

    def _remembered(self, key: bytes) -> User | None:
        until, user = self._known.get(key, (0.0, None))
        return user if until > self._seconds() else None

    def _remember(self, key: bytes, user: User) -> None:
        if self._remembered(key) is None:
            self._known[key] = (self._seconds() + _TTL, user)
            self._known.move_to_end(key)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)


def _key(account_id: str, credentials: str) -> bytes:
    return blake2b(f"{account_id}:{credentials}".encode(), digest_size=16).digest()
