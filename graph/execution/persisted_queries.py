"""Which document a request means: its text, its name, or both (automatic persisted queries).

`documentId` is the working draft's parameter: `sha256:` and the hash of a text, the bare hash, or the id of a trusted
document. `extensions.persistedQuery` is Apollo's protocol: a client sends the hash; told PERSISTED_QUERY_NOT_FOUND, it
sends hash and text once.
"""

import re
from typing import Any, Final

from graphql import GraphQLError

from graph.execution.document_cache import Document, Documents, RefusedDocumentError
from graph.execution.http_error import HttpProblemError
from graph.execution.request_params import Asked

_SHA_256: Final = re.compile(r"[0-9a-f]{64}")


def document_of(asked: Asked, documents: Documents) -> Document:
    """The document that a request means.

    Raises:
        HttpProblemError: it means none, or says so wrongly.
        RefusedDocumentError: it is not to be executed, or its hash is not known.
    """
    name = _name(asked, documents)
    if name is None:
        if not asked.query:
            raise HttpProblemError(400, "BAD_REQUEST", "the request has no query")
        return documents.find(asked.query)
    if not asked.query or documents.only_trusted:
        return _known(documents, name)
    if not documents.register:
        raise _refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
    found = documents.add(asked.query, name)
    if found is None:
        raise HttpProblemError(400, "PERSISTED_QUERY_HASH_MISMATCH", "provided sha does not match query")
    return found


def _known(documents: Documents, name: str) -> Document:
    found = documents.find_by_name(name)
    if found is None:
        raise _refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
    return found


def _name(asked: Asked, documents: Documents) -> str | None:
    given: Any = asked.document_id
    if given is not None:
        # graphql-codegen's own ids begin like that, too, and need not be the hash of the text as it is sent.
        given = given if documents.knows(given) else given.removeprefix("sha256:")
    elif asked.extensions is not None and (persisted := asked.extensions.get("persistedQuery")) is not None:
        given = _of_apollo(persisted)
    if given is not None and not _SHA_256.fullmatch(given) and not documents.knows(given):
        message = (
            "a document is named by its id among the trusted ones, or by the SHA-256 of its text in lower-case hex"
        )
        raise HttpProblemError(400, "BAD_REQUEST", message)
    return given  # type: ignore[no-any-return]


def _of_apollo(persisted: Any) -> str:
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        raise _refused("Unsupported persisted query version", "PERSISTED_QUERY_NOT_SUPPORTED")
    return str(persisted.get("sha256Hash"))


def _refused(message: str, code: str) -> RefusedDocumentError:
    return RefusedDocumentError([GraphQLError(message, extensions={"code": code})])
