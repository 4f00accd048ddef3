"""Accounts and credentials in MongoDB."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from adapters.metadata.mongodb.driver import Database, Document
from adapters.metadata.mongodb.indexes import ACCOUNTS, INGEST, KEYS, PLACES, REVOKED_TOKENS
from adapters.metadata.mongodb.keyset import bounds, order
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from recordings.model.account import Account, ApiKey, IngestAddress, Scope
from recordings.model.instants import SECOND, Millis
from recordings.model.query import PageRequest, Position
from recordings.model.quota import Quota
from recordings.model.retention import Retention
from recordings.ports.account_stores import PAGE, RealmTaken

_SETTINGS: Final = ("name", "retention", "media", "numbers", "sip_realm", "quota")
_OLDEST_FIRST: Final = [("created", ASCENDING), ("_id", ASCENDING)]


@raises_store_unavailable
class AccountCollections:
    """The collections of accounts, API keys, ingest addresses, revoked tokens and media store URLs."""

    def __init__(self, database: Database) -> None:
        self._accounts = database[ACCOUNTS]
        self._keys = database[KEYS]
        self._ingest = database[INGEST]
        self._revoked_tokens = database[REVOKED_TOKENS]
        self._places = database[PLACES]

    async def add_account(self, account: Account) -> bool:
        """Add an account. Return `False` if the id exists. `RealmTaken` if another account has its realm."""
        try:
            await self._accounts.insert_one({**_document(account), "parent_id": account.parent_id})
        except DuplicateKeyError as error:
            if _is_realm(error):
                raise RealmTaken from error
            return False
        return True

    async def account(self, account_id: str) -> Account | None:
        """Return an account by id."""
        found = await self._accounts.find_one({"_id": account_id})
        return _account(found) if found else None

    async def save_account(self, account: Account) -> bool:
        """Replace an account's name and settings. Return `False` if the account does not exist.

        Raises:
            RealmTaken: another account has its realm.
        """
        document = _document(account)
        change = {"$set": {name: document[name] for name in _SETTINGS}}
        try:
            return bool((await self._accounts.update_one({"_id": account.id}, change)).matched_count)
        except DuplicateKeyError as error:
            raise RealmTaken from error

    async def accounts(self, limit: int = PAGE, after: Account | None = None) -> Sequence[Account]:
        """Return accounts, oldest first; with `after`, only the accounts that follow it."""
        found = self._accounts.find(_following(after), sort=_OLDEST_FIRST, limit=limit)
        return [_account(document) for document in await found.to_list(None)]

    async def children(self, parent_id: str, request: PageRequest) -> Sequence[Account]:
        """Return a page of the accounts directly below an account, oldest first."""
        selector = {"parent_id": parent_id, **bounds(request, "created")}
        found = self._accounts.find(selector, sort=order(request, "created"), limit=request.limit)
        accounts = [_account(document) for document in await found.to_list(None)]
        return accounts[::-1] if request.backward else accounts

    async def count_children(self, parent_id: str) -> int:
        """Return the number of accounts directly below an account."""
        return int(await self._accounts.count_documents({"parent_id": parent_id}))

    async def accounts_below(self, account_id: str, limit: int) -> Sequence[Account]:
        """Return at most `limit` of the accounts below an account."""
        found = self._accounts.find({"tree": account_id}, limit=limit)
        return [_account(document) for document in await found.to_list(None)]

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key."""
        await self._keys.insert_one(_document(key) | {"scopes": [scope.value for scope in key.scopes]})

    async def key_by_hash(self, secret_sha256: str) -> ApiKey | None:
        """Return the API key with this hash."""
        found = await self._keys.find_one({"secret_sha256": secret_sha256})
        return _key(found) if found else None

    async def keys(self, account_id: str, limit: int = PAGE, after: ApiKey | None = None) -> Sequence[ApiKey]:
        """Return API keys of an account, oldest first."""
        found = self._keys.find({"account_id": account_id, **_following(after)}, sort=_OLDEST_FIRST, limit=limit)
        return [_key(document) for document in await found.to_list(None)]

    async def revoke_key(self, key_id: str, at: Millis) -> bool:
        """Revoke an API key. Return `False` if it does not exist."""
        return await _revoke(self._keys, key_id, at)

    async def add_ingest(self, address: IngestAddress) -> None:
        """Add an ingest address."""
        await self._ingest.insert_one(_document(address))

    async def ingest_address(self, address_id: str) -> IngestAddress | None:
        """Return an ingest address by id."""
        found = await self._ingest.find_one({"_id": address_id})
        return _address(found) if found else None

    async def ingest_addresses(
        self, account_id: str, limit: int = PAGE, after: IngestAddress | None = None
    ) -> Sequence[IngestAddress]:
        """Return ingest addresses of an account, oldest first."""
        found = self._ingest.find({"account_id": account_id, **_following(after)}, sort=_OLDEST_FIRST, limit=limit)
        return [_address(document) for document in await found.to_list(None)]

    async def revoke_ingest(self, address_id: str, at: Millis) -> bool:
        """Revoke an ingest address. Return `False` if it does not exist."""
        return await _revoke(self._ingest, address_id, at)

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        """Revoke a token until it expires."""
        # The server's TTL index deletes expired documents only if the field is a date.
        change = {"$max": {"until": datetime.fromtimestamp(until / SECOND, UTC)}}
        await self._revoked_tokens.update_one({"_id": token_id}, change, upsert=True)

    async def is_token_revoked(self, token_id: str) -> bool:
        """Return true if a token is revoked."""
        return await self._revoked_tokens.find_one({"_id": token_id}) is not None

    async def note_location(self, url: str, at: Millis) -> None:
        """Store the URL of a media store that holds audio."""
        await self._places.update_one({"_id": url}, {"$setOnInsert": {"since": at}}, upsert=True)

    async def locations(self, limit: int = 1_000, after: str = "") -> Sequence[str]:
        """Return the media store URLs that sort after `after`."""
        found = self._places.find({"_id": {"$gt": after}}, sort=[("_id", ASCENDING)], limit=limit)
        return [str(document["_id"]) for document in await found.to_list(None)]


def _is_realm(error: DuplicateKeyError) -> bool:
    return "sip_realm" in (error.details or {}).get("keyPattern", {})


def _following(item: Account | ApiKey | IngestAddress | None) -> Document:
    return {} if item is None else bounds(PageRequest(limit=1, after=Position(item.created, item.id)), "created")


async def _revoke(collection: Any, identity: str, at: Millis) -> bool:
    # A second revocation keeps the time of the first.
    change = [{"$set": {"revoked": {"$ifNull": ["$revoked", at]}}}]
    return bool((await collection.update_one({"_id": identity}, change)).matched_count)


def _document(item: Account | ApiKey | IngestAddress) -> Document:
    values = asdict(item)
    return {"_id": values.pop("id"), **values}


def _values(document: Document) -> Document:
    values = {name: int(value) if isinstance(value, int) else value for name, value in document.items()}
    values["id"] = values.pop("_id")
    return values


def _account(document: Document) -> Account:
    values = _values(document)
    rules = tuple(Retention(**{**rule, "days": int(rule["days"])}) for rule in values["retention"])
    # Documents of older releases have no `numbers`, no `sip_realm` and no `quota`.
    numbers = tuple(values.get("numbers", ()))
    values.pop("parent_id", None)
    limits = {name: None if limit is None else int(limit) for name, limit in values.get("quota", {}).items()}
    made = {"tree": tuple(values["tree"]), "retention": rules, "numbers": numbers, "quota": Quota(**limits)}
    return Account(**values | made)


def _key(document: Document) -> ApiKey:
    values = _values(document)
    return ApiKey(**values | {"scopes": tuple(Scope(scope) for scope in values["scopes"])})


def _address(document: Document) -> IngestAddress:
    # Documents of older releases have no `record_all`.
    return IngestAddress(**_values(document))
