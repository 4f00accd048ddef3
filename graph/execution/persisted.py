"""Which document a request means: its text, the hash of a text, or both (automatic persisted queries).

`documentId` is the working draft's parameter (`sha256:` and the hash, or the bare hash). `extensions.persistedQuery` is
Apollo's protocol: a client sends the hash; told PERSISTED_QUERY_NOT_FOUND, it sends hash and text once.
"""

import re
from typing import Any, Final

from graphql import GraphQLError

from graph.execution.asked import Asked
from graph.execution.documents import Document, Documents, RefusedDocumentError
from graph.execution.problems import HttpProblemError

_SHA_256: Final = re.compile(r"[0-9a-f]{64}")


def document_of(asked: Asked, documents: Documents) -> Document:
    """The document that a request means.

    Raises:
        HttpProblemError: it means none, or says so wrongly.
        RefusedDocumentError: it is not to be executed, or its hash is not known.
    """
    digest = _digest(asked)
    if digest is None:
        if not asked.query:
            raise HttpProblemError(400, "BAD_REQUEST", "the request has no query")
        return documents.find(asked.query)
    if not asked.query or documents.only_trusted:
        return _known(documents, digest)
    if not documents.register:
        raise _refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
    found = documents.add(asked.query, digest)
    if found is None:
        raise HttpProblemError(400, "PERSISTED_QUERY_HASH_MISMATCH", "provided sha does not match query")
    return found


def _known(documents: Documents, digest: str) -> Document:
    found = documents.find_by_hash(digest)
    if found is None:
        raise _refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
    return found


def _digest(asked: Asked) -> str | None:
    given: Any = asked.document_id
    if given is not None:
        given = given.removeprefix("sha256:")
    elif asked.extensions is not None and (persisted := asked.extensions.get("persistedQuery")) is not None:
        given = _of_apollo(persisted)
    if given is not None and not _SHA_256.fullmatch(given):
        raise HttpProblemError(400, "BAD_REQUEST", "a document is named by the SHA-256 of its text in lower-case hex")
    return given  # type: ignore[no-any-return]


def _of_apollo(persisted: Any) -> str:
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        raise _refused("Unsupported persisted query version", "PERSISTED_QUERY_NOT_SUPPORTED")
    return str(persisted.get("sha256Hash"))


def _refused(message: str, code: str) -> RefusedDocumentError:
    return RefusedDocumentError([GraphQLError(message, extensions={"code": code})])
