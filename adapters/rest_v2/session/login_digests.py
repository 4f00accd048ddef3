"""Find the user for a digest of name and password. The hash is slow on purpose and runs in a thread."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from adapters.rest_v2.request.v2_errors import too_many_requests
from recordings.model.account import DEFAULT_SCOPES, GRANTABLE, Principal
from recordings.model.user import Method, PrivLevel, User, hash_credential
from recordings.rules.login_delays import LoginDelays
from recordings.use_cases.users import ManageUsers

_MAX_HASHES: Final = 2
"""Hashes at the same time. Each needs 16 MiB and one core."""
_MAX_CACHED: Final = 1_024
_TTL: Final = 60.0
_SHA1_DIGITS: Final = 40
_MAX_NAME: Final = 128


class LoginDigests:
    """Finds users by their credentials.

    Basic clients send them each time, so hashes that match are cached for a minute. The user is read each time.
    """

    def __init__(self, users: ManageUsers, seconds: Callable[[], float] = time.monotonic) -> None:
        self._delays = LoginDelays(seconds)
        self._users = users
        self._seconds = seconds
        self._slots = asyncio.Semaphore(_MAX_HASHES)
        self._known: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    async def find(
        self,
        credentials: str,
        method: Method,
        client: str,
        *,
        name: str | None = None,
        realm: str | None = None,
        number: str | None = None,
    ) -> User | None:
        """Return the user with these credentials in the account with a phone number, a realm or a name.

        `client` is the client's address. Raises `V2Error` (429) if the login must wait after failures.
        """
        if name is None and realm is None and number is None:
            return None
        accounts = await self._users.find_accounts(name=name, realm=realm, number=number)
        if not accounts:
            # It waits like an account that exists.
            self._begin(f"?{number or realm or name}"[:_MAX_NAME], client, credentials)
        for account in accounts:
            self._begin(account.id, client, credentials)
        for account in accounts:
            hashed = await self._hash(account.id, method, credentials)
            if user := await self._find_user(account.id, method, hashed):
                self._delays.succeed(account.id, client, credentials)
                for other in accounts:
                    if other.id != account.id:
                        self._delays.undo(other.id, client, credentials)
                return user
        return None

    async def basic(self, account_id: str, credentials: str, client: str) -> Principal | None:
        """Return the principal of Basic credentials. Their length tells which digest they are.

        Raises `V2Error` (429) if the login must wait after failures.
        """
        method = Method.SHA if len(credentials) == _SHA1_DIGITS else Method.MD5
        key = _key(account_id, credentials)
        hashed = self._cached(key)
        is_cached = hashed is not None
        if hashed is None:
            self._begin(account_id, client, credentials)
            hashed = await self._hash(account_id, method, credentials)
        user = await self._find_user(account_id, method, hashed)
        if user is None:
            return None
        if not is_cached:
            self._delays.succeed(account_id, client, credentials)
        self._remember(key, hashed)
        return self.principal(user)

    def remembers(self, account_id: str, credentials: str) -> bool:
        """Return true if valid Basic credentials are in the cache, so that no hash is needed."""
        return self._cached(_key(account_id, credentials)) is not None

    def principal(self, user: User) -> Principal:
        """Return the principal of a user.

        An administrator has no owner, can access the whole account, and sets its recording policies.
        """
        if user.priv_level is PrivLevel.ADMIN:
            return Principal(user.account_id, frozenset(GRANTABLE), name=user.username[:64], user_id=user.id)
        return Principal(user.account_id, frozenset(DEFAULT_SCOPES), user.id, user.username[:64], user_id=user.id)

    def _begin(self, account: str, client: str, guess: str) -> None:
        wait = self._delays.begin(account, client, guess)
        if wait:
            raise too_many_requests(wait)

    async def _hash(self, account_id: str, method: Method, credentials: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(hash_credential, account_id, method, credentials)

    async def _find_user(self, account_id: str, method: Method, hashed: str) -> User | None:
        user = await self._users.find_by_credential(account_id, method, hashed)
        return user if user is not None and await self._users.may_sign_in(self.principal(user)) else None

    def _cached(self, key: bytes) -> str | None:
        until, hashed = self._known.get(key, (0.0, None))
        return hashed if until > self._seconds() else None

    def _remember(self, key: bytes, hashed: str) -> None:
        if self._cached(key) is None:
            self._known[key] = (self._seconds() + _TTL, hashed)
            self._known.move_to_end(key)
        if len(self._known) > _MAX_CACHED:
            self._known.popitem(last=False)


def _key(account_id: str, credentials: str) -> bytes:
    return blake2b(f"{account_id}:{credentials}".encode(), digest_size=16).digest()
