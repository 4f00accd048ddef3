"""The port for the documents of recording policies."""

from collections.abc import Collection, Sequence
from typing import Protocol

from recordings.model.recording_policy import DocumentKind, PolicyDocument


class PolicyStore(Protocol):
    """Stores the documents of accounts, users and devices. The key is the account, the kind and the id."""

    async def policy_documents(
        self, account_id: str, names: Collection[tuple[DocumentKind, str]]
    ) -> Sequence[PolicyDocument]:
        """Return the documents that exist of these kinds and ids, with one request, in any order."""

    async def documents_of_kind(
        self, account_id: str, kind: DocumentKind, limit: int = 10_000
    ) -> Sequence[PolicyDocument]:
        """Return the documents of a kind, by id."""

    async def save_policy_document(self, document: PolicyDocument) -> bool:
        """Save a document whose `revision` is one more than the stored one; 1 for a new document.

        Otherwise write nothing and return false.
        """
