"""The identity of the installation, the id of its signing key, and the encrypted secrets of accounts, in MongoDB."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from adapters.metadata.mongodb.driver import Database
from adapters.metadata.mongodb.indexes import ACCOUNTS, META, SECRETS
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from recordings.model.installation import Installation
from recordings.model.instants import SECOND, Millis
from recordings.ports.secret_store import AccountSecret


@raises_store_unavailable
class SecretCollection:
    """The identity of the installation, and the collection of account secrets: one document for each secret."""

    def __init__(self, database: Database) -> None:
        self._all = database
        self._secrets = database[SECRETS]

    async def installation(self) -> Installation:
        """Return the identity of the installation. Make it at the first call."""
        found = await self._all[META].find_one({"_id": "installation"})
        if found is None:
            # The first account is the oldest trace of an installation of an older release.
            oldest = await self._all[ACCOUNTS].find_one({}, {"created": 1}, sort=[("created", ASCENDING)])
            created = int(oldest["created"]) if oldest else round(datetime.now(UTC).timestamp() * SECOND)
            found = await self._all[META].find_one_and_update(
                {"_id": "installation"},
                {"$setOnInsert": {"id": uuid4().hex, "created": created}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return Installation(str(found["id"]), int(found["created"]), found.get("key_id"), found.get("key_since"))

    async def claim_key(self, key_id: str, at: Millis, instead_of: str | None = None) -> Installation:
        """Store the id of the signing key if the stored one is `instead_of`. Return the installation after that."""
        # The document must exist before it can be changed.
        await self.installation()
        change = {"$set": {"key_id": key_id, "key_since": at}}
        await self._all[META].update_one({"_id": "installation", "key_id": instead_of}, change)
        return await self.installation()

    async def account_secret(self, account_id: str, name: str) -> Sequence[str]:
        """Return the encrypted values of a secret, the newest first."""
        found = await self._secrets.find_one({"_id": _id(account_id, name)})
        return () if found is None else tuple(found["sealed"])

    async def save_account_secret(self, secret: AccountSecret, expected: Sequence[str]) -> bool:
        """Replace a secret if its stored values are `expected`."""
        identity = _id(secret.account_id, secret.name)
        document = {"account_id": secret.account_id, "name": secret.name, "sealed": list(secret.sealed)}
        if not expected and not secret.sealed:
            return not await self.account_secret(secret.account_id, secret.name)
        if not expected:
            try:
                await self._secrets.insert_one({"_id": identity, **document})
            except DuplicateKeyError:
                return False
            return True
        condition = {"_id": identity, "sealed": list(expected)}
        if not secret.sealed:
            return bool((await self._secrets.delete_one(condition)).deleted_count)
        return bool((await self._secrets.replace_one(condition, document)).matched_count)

    async def account_secrets(self, limit: int, after: AccountSecret | None = None) -> Sequence[AccountSecret]:
        """Return the secrets of all accounts, sorted by account and name."""
        start = "" if after is None else _id(after.account_id, after.name)
        found = self._secrets.find({"_id": {"$gt": start}}, sort=[("_id", ASCENDING)], limit=limit)
        return [
            AccountSecret(str(document["account_id"]), str(document["name"]), tuple(document["sealed"]))
            for document in await found.to_list(None)
        ]


def _id(account_id: str, name: str) -> str:
    """Return the id of a document. Ids of accounts have no colon and one length, so it is unique and sorts by both."""
    return f"{account_id}:{name}"
