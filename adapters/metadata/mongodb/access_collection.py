"""Disabled accounts and people, and ended tokens, in MongoDB."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from adapters.metadata.mongodb.driver import Database
from adapters.metadata.mongodb.indexes import ACCESS_LIMITS, ACCOUNTS, INGEST, KEYS, POLICIES, SECRETS, USERS
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from recordings.model.account import AccessState
from recordings.model.instants import Millis
from recordings.model.user import Passwords, UserField

_ACCOUNT_COLLECTIONS: Final = (USERS, KEYS, INGEST, POLICIES, SECRETS)


@raises_store_unavailable
class AccessCollection:
    """The collection of access limits: one document for an account, and one for each person."""

    def __init__(self, database: Database) -> None:
        self._every = database
        self._limits = database[ACCESS_LIMITS]

    async def access_state(self, account_id: str, people: Collection[str], key_id: str | None) -> AccessState:
        """Return the state of credentials."""
        # The key is read first, and the account last. `delete_account` writes in the opposite order.
        if key_id is not None and not await self._every[KEYS].find_one({"_id": key_id, "revoked": None}, {"_id": 1}):
            return AccessState(is_valid=False)
        ids = [_id(account_id, person) for person in ("", *people)]
        limits = await self._limits.find({"_id": {"$in": ids}}).to_list(None)
        if any(limit.get("disabled") is not None for limit in limits):
            return AccessState(is_valid=False)
        exists = await self._every[ACCOUNTS].find_one({"_id": account_id}, {"_id": 1}) is not None
        return AccessState(exists, max((int(limit.get("not_before", 0)) for limit in limits), default=0))

    async def disabled(self, account_id: str) -> Mapping[str, Millis]:
        """Return the disabled people of an account, and since when."""
        found = self._limits.find({"account_id": account_id, "disabled": {"$ne": None}})
        return {limit["person"]: int(limit["disabled"]) for limit in await found.to_list(None)}

    async def set_disabled(self, account_id: str, person: str, at: Millis | None) -> None:
        """Disable an account or a person, or enable them with `None`."""
        await self._change(account_id, person, {"disabled": None if at is None else {"$ifNull": ["$disabled", at]}})

    async def end_tokens(self, account_id: str, person: str, at: Millis) -> None:
        """End all tokens that were issued before an instant."""
        await self._change(account_id, person, {"not_before": {"$max": ["$not_before", at]}})

    async def delete_account(self, account_id: str) -> None:
        """Delete an account with its users, keys, ingest addresses and policies."""
        for name in _ACCOUNT_COLLECTIONS:
            await self._every[name].delete_many({"account_id": account_id})
        await self._every[ACCOUNTS].delete_one({"_id": account_id})

    async def delete_user(self, account_id: str, user_id: str) -> None:
        """Delete a user."""
        await self._every[USERS].delete_one({"account_id": account_id, "id": user_id})

    async def save_passwords(self, account_id: str, user_id: str, passwords: Passwords) -> bool:
        """Replace the password of a user. Return `False` if the user does not exist."""
        change = {"$set": {"passwords": {"md5": passwords.md5, "sha": passwords.sha}}}
        result = await self._every[USERS].update_one({"account_id": account_id, "id": user_id}, change)
        return bool(result.matched_count)

    async def save_user(self, account_id: str, user_id: str, changes: Mapping[UserField, str]) -> bool:
        """Change some fields of a user. Return `False` if the user does not exist."""
        change = {"$set": {field.value: value for field, value in changes.items()}}
        result = await self._every[USERS].update_one({"account_id": account_id, "id": user_id}, change)
        return bool(result.matched_count)

    async def _change(self, account_id: str, person: str, values: Mapping[str, Any]) -> None:
        # A person's id may begin with a dollar sign, so it must be a literal in this pipeline.
        change = [{"$set": {"account_id": account_id, "person": {"$literal": person}, **values}}]
        await self._limits.update_one({"_id": _id(account_id, person)}, change, upsert=True)


def _id(account_id: str, person: str) -> str:
    """Return the id of a document. Ids of accounts have no colon, so it is unique."""
    return f"{account_id}:{person}"
