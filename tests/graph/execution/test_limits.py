"""Each attack of graphql-armor's list is rejected by its limit. `bench/attacks.py` measures the cost of rejecting."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query, parse

from graph.execution.ast_limits import DocumentSummary
from graph.execution.compiler import Compiler
from graph.execution.document_cache import DocumentCache
from graph.execution.request_errors import LimitError, RefusedDocumentError
from graph.execution.request_limits import Limits
from graph.execution.token_limits import _TOKEN, check_text
from graph.graphql_app import GraphQLSettings
from graph.schema.build import Schema
from tests.graph.api import URL, open_api
from tests.graph.execution.differential import UNLIMITED, make

SCHEMA = Schema()
BULK = "mutation { deleteRecordings(input: {ids: IDS}) { results { recording { id } errors { __typename } } } }"
BULK_INPUT = BULK.replace("{ids: IDS}", "$i").replace("{", "($i: DeleteRecordingsInput!) {", 1)
PAGE = """query Page { recordings(first: 100) { edges { cursor node {
  plainId state start created durationMs callId interactionId cdrId ownerId endpointId from to direction
  callerIdName callerIdNumber calleeIdName calleeIdNumber origin label name } } pageInfo { endCursor } } }"""


def nested(levels: int) -> str:
    return "{ recordings(first: 1) { nodes { account " * levels + "{ name }" + " } } }" * levels


ATTACKS: dict[str, tuple[str, str]] = {
    "characters": ("{ " + "x" * 20_000 + " }", "characters"),
    "comments": ("{ __typename " + "#\n" * 8_000 + "}", "characters"),
    "tokens": ("{ " + "__typename " * 1_100 + "}", "tokens"),
    "punctuation": ("{" * 1_100, "tokens"),
    "brackets": ("{" * 900, "levels of fields"),
    "lists": ("{ recording(id: " + "[" * 400 + "]" * 400 + ") { id } }", "levels of brackets"),
    "depth": (nested(8), "levels of fields"),
    "aliases": ("{ " + " ".join(f"a{at}: __typename" for at in range(300)) + " }", "aliases"),
    "alias overload": ("{ " + " ".join(f"a{at}: viewer {{ name }}" for at in range(101)) + " }", "aliases"),
    "directives": ("{ __typename " + "@include(if: true) " * 140 + "}", "directives"),
    "digits": ("{ recordings(first: " + "9" * 5_000 + ") { nodes { id } } }", "digits of a number"),
    "unknown directives": ("{ __typename " + "@aa " * 400 + "}", "directives"),
    "repeated fields": ("{ viewer { " + "name " * 300 + "} }", "repeats"),
    "repeated objects": ("{ " + "viewer { name } " * 100 + "}", "repeats"),
    "fragments that multiply": (
        "{ viewer { account { ...f0 } } } "
        + " ".join(
            f"fragment f{n} on Account {{ "
            + " ".join(f"a{at}: recordings(first: 1) {{ nodes {{ account {{ ...f{n + 1} }} }} }}" for at in range(5))
            + " }"
            for n in range(3)
        )
        + " fragment f3 on Account { id }",
        "aliases",
    ),
    "circular fragments": (
        """{ viewer { ...f } } fragment f on Viewer { account { ...g } }
        fragment g on Account { recordings { nodes { account { ...g } } } }""",
        "levels of fields",
    ),
    "fields": (
        "{ "
        + " ".join("recordings(first: 1) { nodes { ...f } }" for _ in range(2))
        + " } fragment f on Recording { "
        + " ".join(f"f{at}" for at in range(600))
        + " }",
        "fields",
    ),
    "ids": ("{ nodes(ids: [" + '"x",' * 250 + "]) { id } }", "ids"),
    "ids by default": ("query($i: [ID!]! = [" + '"x",' * 250 + "]) { nodes(ids: $i) { id } }", "ids"),
    "cost": (f"{{ {'recordings(first: 100) { nodes { account { ' * 3} id {'} } } ' * 3} }}", "points of cost"),
}  # fmt: skip


def refuse(text: str) -> LimitError:
    with pytest.raises(RefusedDocumentError) as refused:
        SCHEMA.documents.find(text)
    (error,) = refused.value.errors
    assert isinstance(error, LimitError), error
    return error


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_rejected_by_its_limit(name: str) -> None:
    text, limit = ATTACKS[name]
    assert refuse(text).extensions == {"code": "LIMIT_EXCEEDED", "limit": limit}


def test_the_usual_introspection_query_is_within_the_limits() -> None:
    assert SCHEMA.documents.find(get_introspection_query()).summary.introspects
    # It is deeper than this limit, but its depth does not count.
    documents = DocumentCache(schema=SCHEMA.core, compiler=Compiler(), limits=Limits(depth=3))
    assert documents.find(get_introspection_query()).summary.introspects


@pytest.mark.parametrize(
    ("text", "depth", "ids"),
    [
        ("{ a }", 1, 0),
        ("{ a { b } c { d { e } } }", 3, 0),
        ("query Q($f: F = {a: {b: {c: 1}}}) { a(f: {b: {c: [1, 2]}}) { b } }", 2, 0),
        ("{ a { ... { ... on T { ... on T @skip(if: true) { b } } } } }", 2, 0),
        ("{ a { ...f b { c } } } fragment f on T { d { e } }", 3, 0),
        ("{ x: a { y: on { z: b } } }", 3, 0),
        ("{ __schema { a { b { c } } } }", 1, 0),
        ('{ s: __type(name: "T") { a { b { c } } } d { e } }', 2, 0),
        ("{ a { b } } fragment f on __Type { c { d { e } } }", 2, 0),
        ('{ n(ids: ["a", "b", $c]) { id } }', 2, 3),
        ('query($i: [ID!]! = ["a", "b"]) { n(ids: $i) { id } }', 2, 2),
        ("{ n(in: [1, 2], ids: [[1, 2, 3], 4], of: [5, 6]) { ids: list } }", 2, 0),
    ],
)
def test_depth_and_ids_are_counted_in_the_tokens(text: str, depth: int, ids: int) -> None:
    check_text(text, replace(Limits(), depth=depth, ids=ids))
    with pytest.raises(LimitError, match="levels of fields"):
        check_text(text, replace(Limits(), depth=depth - 1))
    if ids:
        with pytest.raises(LimitError, match="ids"):
            check_text(text, replace(Limits(), ids=ids - 1))


@pytest.mark.parametrize("seed", range(60))
def test_the_token_scan_accepts_every_document_that_the_parsed_document_accepts(seed: int) -> None:
    made, _ = make(seed)
    summary = DocumentSummary.of(parse(made.text), SCHEMA.core, UNLIMITED, {})
    counted = {name: getattr(summary, name) for name in ("fields", "aliases", "directives", "repeats")}
    check_text(made.text, replace(UNLIMITED, **counted))


@pytest.mark.parametrize("text", ['"a\\' * 3_000, '"\\' * 5_000, '"""' + 'a""' * 4_000, '"""' + '\\"""' * 3_000])
def test_an_unclosed_string_is_scanned_once(text: str) -> None:
    # It is one token. Otherwise the scan would read the rest of the text again after each quote.
    check_text(text, Limits(tokens=1_000))
    assert len(_TOKEN.findall(text)) <= 2
    with pytest.raises(RefusedDocumentError):
        SCHEMA.documents.find(text)


async def test_a_rejected_document_costs_its_length(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(burst=30_000, per_second=1)) as api:

        async def ask(text: str, length: int, who: str = "me") -> Any:
            headers = {"authorization": f"Bearer {who}"}
            told = await api.http.post(URL, json={"query": f"{text}{'#' * (length - len(text))}"}, headers=headers)
            return told.json()

        answers = [await ask("{ nothing }", 12_000) for _ in range(3)]
        codes = [answer["errors"][0]["extensions"]["code"] for answer in answers]
        assert codes == ["BAD_REQUEST", "BAD_REQUEST", "RATE_LIMITED"]
        # A cached document, or one above a limit, does not cost its length.
        for length in (4_000, 4_500, 20_000, 5_000):
            assert ("data" in await ask("{ viewer { name } }", length)) is (length < 15_000)
        left = (await ask("{ viewer { name } }", 4_000))["extensions"]["cost"]["available"]
        assert 5_900 < left < 6_100


def test_errors_suggest_no_names_by_default() -> None:
    with pytest.raises(RefusedDocumentError) as refused:
        SCHEMA.documents.find("{ recordins(first: 1) { totalCount } }")
    assert "Did you mean" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "variables", "cost"),
    [
        ("{ viewer { name } }", {}, 2),
        ("{ recordings(first: 100) { nodes { id } } }", {}, 102),
        ("{ recordings(last: 7) { nodes { id state } } }", {}, 16),
        ("query($n: Int) { recordings(first: $n) { nodes { id } } }", {"n": 50}, 52),
        ("query($n: Int) { recordings(first: $n) { nodes { id } } }", {}, 102),
        ("query($n: Int) { recordings(first: $n) { nodes { id } } }", {"n": -5}, 2),
        ("query($n: Int = 3) { recordings(first: $n) { edges { node { spans { kind } } } } }", {"n": 10}, 2 + 10 * 12),
        ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a", "b", "c"]}, 4),
        ("{ recordings(first: 1) { totalCount } }", {}, 101),
        ("{ recordings(first: 90) { nodes { account { recordings(first: 90) { nodes { id } } } } } }", {}, 8_372),
        ("{ viewer { ...f ...f } } fragment f on Viewer { name }", {}, 2),
        ("{ a: viewer { name } b: viewer { name } viewer { c: name d: name } }", {}, 2 + 2 + 3),
        ("{ a: recordings(first: 9) { nodes { id } } b: recordings(first: 5) { nodes { id } } }", {}, 11 + 7),
        ('{ nodes(ids: ["a", "b"]) { ... on Recording { spans { kind } } } }', {}, 1 + 2 * 11),
        ("query($n: Int) { recordings(first: $n) { nodes { id } } }", {"n": 10**4_000}, 102),
        ("query($n: Int) { recordings(first: $n) { nodes { id } } }", {"n": 1_000}, 102),
        ("{ recordings(last: 1000) { nodes { id } } }", {}, 102),
        ("{ recordings(first: " + str(2**31 - 1) + ") { nodes { id } } }", {}, 102),
        ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a"] * 150}, 101),
        (BULK.replace("IDS", '["a", "b", "c"]'), {}, 3 * 10 + 1 + 3 * 13),
        (BULK.replace("IDS", "$i").replace("{", "($i: [ID!]!) {", 1), {"i": ["a"] * 7}, 7 * 10 + 1 + 7 * 13),
        (BULK_INPUT, {"i": {"ids": ["a"] * 7}}, 7 * 10 + 1 + 7 * 13),
        (BULK_INPUT, {"i": {"ids": ["a"] * 5_000}}, 1_000 + 1 + 1_300),
        (BULK_INPUT, {"i": None}, 1_000 + 1 + 1_300),
        ('mutation { deleteRecordings(input: {ids: ["a", "b"]}) { errors { __typename } } }', {}, 20 + 1 + 2),
        ('mutation { deleteRecording(input: {id: "a"}) { recording { id } } }', {}, 10 + 2),
        ("{ __schema { ...f ...f } } fragment f on __Schema { types { name } types { name kind } }", {}, 3 * 20),
    ],
)
def test_the_cost_is_the_largest_possible_response(text: str, variables: dict[str, Any], cost: int) -> None:
    document = SCHEMA.documents.find(text)
    assert document.cost(document.operation(None), variables) == cost


def test_the_cost_of_a_fragment_counts_once_at_each_path() -> None:
    # If each spread were followed, the walk would take 2^60 steps.
    chain = " ".join(f"fragment f{at} on __Schema {{ ...f{at + 1} ...f{at + 1} }}" for at in range(60))
    document = SCHEMA.documents.find(f"{{ __schema {{ ...f0 }} }} {chain} fragment f60 on __Schema {{ description }}")
    assert document.cost(document.operation(None), {}) == 20


def test_a_costly_operation_does_not_affect_the_others_of_its_document() -> None:
    costly = ATTACKS["cost"][0]
    document = SCHEMA.documents.find(f"query Costly {costly} query Cheap {{ viewer {{ name }} }}")
    assert document.cost(document.operation("Cheap"), {}) == 2
    assert document.cost(document.operation("Costly"), {}) > Limits().cost


@pytest.mark.parametrize("more", [{}, {"specified_by_url": True, "input_value_deprecation": True}])
async def test_the_usual_introspection_query_is_answered(tmp_path: Path, more: dict[str, bool]) -> None:
    async with open_api(tmp_path, GraphQLSettings()) as api:
        answer = await api.send(get_introspection_query(**more))
    assert build_client_schema(answer["data"]).type_map.keys() >= {"Recording", "RecordingConnection"}
    assert answer["extensions"]["cost"]["requested"] < Limits().cost / 2
