"""Each limit accepts a document exactly at its bound, and rejects it if the limit is lower by one."""

from dataclasses import replace

import pytest

from graph.execution.compiler import Compiler
from graph.execution.document_cache import DocumentCache
from graph.execution.request_errors import RefusedDocumentError
from graph.execution.request_limits import Limits
from graph.schema.build import Schema

SCHEMA = Schema()


@pytest.mark.parametrize(
    ("limit", "least", "text"),
    [
        ("characters", 14, "{ __typename }"),
        ("tokens", 5, "{ a: __typename }"),
        ("tokens", 3, "{ __typename } # a comment\n# is not a token"),
        ("nesting", 2, "{ viewer { name } }"),
        ("depth", 2, "{ viewer { name } }"),
        ("fields", 3, "{ viewer { name } __typename }"),
        ("aliases", 2, "{ a: __typename viewer { b: name } }"),
        ("directives", 2, "{ __typename @skip(if: false) viewer { name @include(if: true) } }"),
        ("repeats", 3, "{ __typename __typename __typename }"),
        ("ids", 2, '{ nodes(ids: ["a", "b"]) { id } }'),
        ("cost", 2, "{ viewer { name } }"),
    ],
)
def test_a_limit_is_inclusive(limit: str, least: int, text: str) -> None:
    def find(value: int) -> None:
        limits = replace(Limits(), **{limit: value})
        DocumentCache(schema=SCHEMA.core, compiler=Compiler(), limits=limits).find(text)

    find(least)
    with pytest.raises(RefusedDocumentError, match="at most"):
        find(least - 1)
