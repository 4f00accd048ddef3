"""Golden numbers of the walk over a document: its counts, and the costs of its operations.

The numbers are those of the two separate walks, for limits and for costs, that this walk replaced. The two were also
compared on 14,000 random documents, most of them invalid.
"""

from dataclasses import replace
from typing import Any

import pytest
from graphql import parse

from graph.execution.ast_limits import DocumentSummary
from graph.execution.request_errors import LimitError, RefusedDocumentError
from graph.execution.request_limits import Limits
from graph.schema.build import Schema
from tests.graph.execution.differential import UNLIMITED

SCHEMA = Schema()
VARIABLES: dict[str, Any] = {"n": 4, "i": ["a", "b"]}
DOCUMENTS: dict[str, tuple[str, tuple[int, int, int, int], list[int]]] = {
    "a fragment at two paths": (
        """{ viewer { ...f account { ...g } } account { ...g } }
        fragment f on Viewer { name account { ...g } } fragment g on Account { id name }""",
        (9, 0, 0, 1), [8],
    ),
    "a fragment below two parent types": (
        """{ node { ... on Recording { account { ...f } } ... on Viewer { account { ...f } } } }
        fragment f on Account { id a: name recordings(first: $n) { nodes { id } } }""",
        (8, 1, 0, 1), [19],
    ),
    "the same key on several types": (
        """{ node {
        ... on Recording { x: id media { url } } ... on Account { x: name media { url } }
        ... on Missing { x media { url } } } }""",
        (10, 2, 0, 9), [6],
    ),
    "merged fields": (
        "{ recordings(first: 5) { nodes { id } } recordings(first: 9) { nodes { id state } totalCount } }",
        (8, 0, 0, 3), [112],
    ),
    "aliases": (
        """{ a: recordings(first: 2) { nodes { id } }
        b: recordings(last: 3) { edges { node { spans { kind } } } } }""",
        (8, 2, 0, 0), [42],
    ),
    "variables": (
        """query($n: Int, $i: [ID!]!) { recordings(first: $n) { nodes { account {
        recordings(last: $n) { nodes { id } } } } } nodes(ids: $i) { id } }""",
        (8, 0, 0, 0), [33],
    ),
    "a variable and a number": (
        'query($n: Int) { recordings(first: 7, last: $n) { nodes { id } } nodes(ids: [$n, "b"]) { id } }',
        (5, 0, 0, 0), [9],
    ),
    "directives": (
        """query Q($s: Boolean!) @odd { viewer @skip(if: $s) { ...f @include(if: $t) ... @include(if: true) { name } } }
        fragment f on Viewer @odd { scopes @skip(if: $s) }""",
        (3, 0, 6, 0), [3],
    ),
    "unused and unknown fragments": (
        """{ ...missing viewer { ...missing } }
        fragment unused on Recording { a: id media { b: url peaks(pixels: 1) { channels } } }""",
        (6, 2, 0, 0), [1],
    ),
    "an introspection": (
        """{ __schema { ...f ...g types { name fields { name type { ofType { name } } } } } }
        fragment f on __Schema { types { name kind } }
        fragment g on __Schema { types { kind } queryType { name } }""",
        (15, 0, 0, 5), [200],
    ),
    "several operations": (
        """query A { viewer { name } } query B { recordings(first: 9) { totalCount } }
        mutation C { stopRecording { recording { id } } } subscription D { viewer { name } }""",
        (9, 0, 0, 0), [2, 101, 12, 1],
    ),
    "waveforms": (
        "{ recordings(first: 10) { nodes { media { peaks(pixels: 3) { channels } url } } } }",
        (6, 0, 0, 0), [532],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_counts_and_costs_of_a_document(name: str) -> None:
    text, counts, costs = DOCUMENTS[name]
    summary = DocumentSummary.of(parse(text), SCHEMA.core, UNLIMITED, SCHEMA.documents.weights)
    assert (summary.fields, summary.aliases, summary.directives, summary.repeats) == counts
    assert [cost.of(VARIABLES) for cost in summary.costs.values()] == costs


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({}, None),
        ({"cost": 531}, "points of cost"),
        ({"cost": 0, "fields": 5}, "fields"),
        ({"fields": 5, "depth": 4}, "levels of fields"),
        ({"fields": 3, "depth": 4}, "fields"),
    ],
)
def test_the_first_exceeded_limit_is_reported_and_the_cost_last(limits: dict[str, int], limit: str | None) -> None:
    document = parse(DOCUMENTS["waveforms"][0])
    if limit is None:
        DocumentSummary.of(document, SCHEMA.core, Limits(), SCHEMA.documents.weights)
        return
    with pytest.raises(LimitError) as refused:
        DocumentSummary.of(document, SCHEMA.core, replace(Limits(), **limits), SCHEMA.documents.weights)
    assert refused.value.extensions == {"code": "LIMIT_EXCEEDED", "limit": limit}


def test_fragments_that_repeat_below_two_parent_types_do_not_double_the_walk_at_each_level() -> None:
    # Each level has two parent types with the same field. Without a limit this takes 2^30 steps.
    chain = " ".join(
        f"fragment f{at} on __Type {{ fields {{ "
        f"... on __Field {{ type {{ ...f{at + 1} }} }} ... on __InputValue {{ type {{ ...f{at + 1} }} }} }} }}"
        for at in range(30)
    )
    with pytest.raises(RefusedDocumentError, match="more than 500 fields"):
        SCHEMA.documents.find(f"{{ __schema {{ types {{ ...f0 }} }} }} {chain} fragment f30 on __Type {{ name }}")
