"""Policy documents in MongoDB."""

from collections.abc import Collection, Sequence

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from adapters.metadata.mongodb.driver import Database
from adapters.metadata.mongodb.indexes import POLICIES
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from adapters.metadata.policy_values import from_values, to_values
from recordings.model.recording_policy import DocumentKind, PolicyDocument


@raises_store_unavailable
class PolicyCollection:
    """The collection of policy documents."""

    def __init__(self, database: Database) -> None:
        self._policies = database[POLICIES]

    async def policy_documents(
        self, account_id: str, names: Collection[tuple[DocumentKind, str]]
    ) -> Sequence[PolicyDocument]:
        """Return the documents that exist of these kinds and ids."""
        if not names:
            return []
        either = [{"account_id": account_id, "kind": kind.value, "id": identity} for kind, identity in names]
        return [from_values(found) for found in await self._policies.find({"$or": either}).to_list(None)]

    async def documents_of_kind(
        self, account_id: str, kind: DocumentKind, limit: int = 10_000
    ) -> Sequence[PolicyDocument]:
        """Return the documents of a kind, by id."""
        found = self._policies.find(
            {"account_id": account_id, "kind": kind.value}, sort=[("id", ASCENDING)], limit=limit
        )
        return [from_values(document) for document in await found.to_list(None)]

    async def save_policy_document(self, document: PolicyDocument) -> bool:
        """Save a document if its revision is the next one. Otherwise return `False`."""
        values = to_values(document)
        if document.revision == 1:
            try:
                await self._policies.insert_one(values)
            except DuplicateKeyError:
                return False
            return True
        key = {name: values[name] for name in ("account_id", "kind", "id")}
        expected = {**key, "revision": document.revision - 1}
        return bool((await self._policies.replace_one(expected, values)).matched_count)
