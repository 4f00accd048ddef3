"""The document of a request: by its text, by its name, or by both (automatic persisted queries).

- `documentId` is the parameter of the working draft of GraphQL over HTTP. Its value is `sha256:` and the hash of a
  text, only the hash, or the id of a trusted document.
- `extensions.persistedQuery` is Apollo's protocol. The client sends the hash. If the response has the error
  PERSISTED_QUERY_NOT_FOUND, the client sends hash and text once.
"""

import re
from typing import Any, Final

from graphql import GraphQLError

from graph.execution.document_cache import Document, DocumentCache
from graph.execution.request_errors import HttpError, RefusedDocumentError
from graph.execution.request_params import RequestParams

_SHA_256: Final = re.compile(r"[0-9a-f]{64}")


def find_document(params: RequestParams, documents: DocumentCache) -> Document:
    """Return the document of a request.

    Raises:
        HttpError: The request has no document, or its name or hash is not valid.
        RefusedDocumentError: The document must not be executed, or its hash is unknown.
    """
    name = _name(params, documents)
    if name is None:
        if not params.query:
            raise no_query()
        return documents.find(params.query)
    if not params.query or documents.only_trusted:
        return _by_name(documents, name)
    if not documents.register:
        raise _refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
    found = documents.register_text(params.query, name)
    if found is None:
        raise HttpError(400, "PERSISTED_QUERY_HASH_MISMATCH", "provided sha does not match query")
    return found


def no_query() -> HttpError:
    """Return the error of a request without a document."""
    message = "the request has no document: send `query`, `documentId` or `extensions.persistedQuery`"
    return HttpError(400, "BAD_REQUEST", message)


def _by_name(documents: DocumentCache, name: str) -> Document:
    found = documents.find_by_name(name)
    if found is None:
        raise _refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
    return found


def _name(params: RequestParams, documents: DocumentCache) -> str | None:
    name: Any = params.document_id
    if name is not None:
        # The ids of graphql-codegen also begin with `sha256:`, but may not be the hash of the text that is sent.
        name = name if documents.is_trusted(name) else name.removeprefix("sha256:")
    elif params.extensions is not None and (persisted := params.extensions.get("persistedQuery")) is not None:
        name = _apollo_hash(persisted)
    if name is not None and not _SHA_256.fullmatch(name) and not documents.is_trusted(name):
        message = "unknown document id: send the id of a trusted document, or the SHA-256 of a text in lower-case hex"
        raise HttpError(400, "BAD_REQUEST", message)
    return name  # type: ignore[no-any-return]


def _apollo_hash(persisted: Any) -> str:
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        raise _refused("Unsupported persisted query version", "PERSISTED_QUERY_NOT_SUPPORTED")
    return str(persisted.get("sha256Hash"))


def _refused(message: str, code: str) -> RefusedDocumentError:
    return RefusedDocumentError([GraphQLError(message, extensions={"code": code})])
