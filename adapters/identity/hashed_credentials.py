"""Credentials that are stored as hashes: API keys and the secrets of ingest addresses."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Final

from recordings.model.account import Principal, Scope
from recordings.model.ids import is_hex_id
from recordings.ports.account_stores import AccountStore
from recordings.use_cases.access_control import TTL
from recordings.use_cases.accounts import hash_secret

_MAX_CACHED: Final = 4_096


class Credentials:
    """Looks up credentials in the store. Each result, also a negative one, is cached for `TTL` seconds."""

    def __init__(self, store: AccountStore, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._cache: OrderedDict[str, tuple[float, Principal | None]] = OrderedDict()

    async def key(self, secret: str) -> Principal | None:
        """Return the principal of an API key; `None` if the key is unknown or revoked."""
        digest = hash_secret(secret)
        return await self._cached(f"key {digest}", lambda: self._find_key(digest))

    async def ingest(self, address_id: str, secret: str) -> Principal | None:
        """Return the principal of an ingest address; `None` if the address or the secret is not valid.

        This principal may only send audio.
        """
        if not is_hex_id(address_id):
            return None
        digest = hash_secret(secret)
        return await self._cached(f"ingest {address_id} {digest}", lambda: self._find_ingest(address_id, digest))

    async def _cached(self, name: str, find: Callable[[], Awaitable[Principal | None]]) -> Principal | None:
        now = self._seconds()
        entry = self._cache.get(name)
        if entry is None or entry[0] <= now:
            entry = (now + TTL, await find())
            self._cache[name] = entry
            self._cache.move_to_end(name)
            if len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return entry[1]

    async def _find_key(self, digest: str) -> Principal | None:
        key = await self._store.key_by_hash(digest)
        if key is None or key.revoked is not None:
            return None
        return Principal(key.account_id, frozenset(key.scopes), key.owner_id, f"key-{key.id[:8]}", key_id=key.id)

    async def _find_ingest(self, address_id: str, digest: str) -> Principal | None:
        address = await self._store.ingest_address(address_id)
        if address is None or address.revoked is not None or not compare_digest(address.secret_sha256, digest):
            return None
        name, scopes = f"ingest-{address.id[:8]}", frozenset({Scope.INGEST})
        return Principal(address.account_id, scopes, name=name, record_all=address.record_all)
