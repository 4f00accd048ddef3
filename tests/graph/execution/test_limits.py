"""The attacks of graphql-armor's list, each refused by its limit; `bench/attacks.py` says what refusing them costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query

from graph.execution.documents import Documents, RefusedDocumentError
from graph.execution.limit_error import LimitError
from graph.execution.limits import Limits
from graph.execution.plan import Compiler
from graph.graphql import GraphQLSettings
from graph.schema.build import Schema
from tests.graph.api import open_api

SCHEMA = Schema()
PAGE = """query Page { recordings(first: 100) { edges { cursor node {
  recordingId state start created durationMs callId interactionId cdrId ownerId endpointId from to direction
  callerIdName callerIdNumber calleeIdName calleeIdNumber origin label name } } pageInfo { endCursor } } }"""


def nested(levels: int) -> str:
    return "{ recordings(first: 1) { nodes { account " * levels + "{ name }" + " } } }" * levels


ATTACKS: dict[str, tuple[str, str]] = {
    "characters": ("{ " + "x" * 20_000 + " }", "characters"),
    "comments": ("{ __typename " + "#\n" * 8_000 + "}", "characters"),
    "tokens": ("{ " + "__typename " * 1_100 + "}", "tokens"),
    "punctuation": ("{" * 1_100, "tokens"),
    "brackets": ("{" * 900, "levels of brackets"),
    "lists": ("{ recording(id: " + "[" * 400 + "]" * 400 + ") { id } }", "levels of brackets"),
    "depth": (nested(8), "levels of fields"),
    "aliases": ("{ " + " ".join(f"a{at}: __typename" for at in range(300)) + " }", "aliases"),
    "alias overload": ("{ " + " ".join(f"a{at}: viewer {{ name }}" for at in range(100)) + " }", "aliases"),
    "directives": ("{ __typename " + "@include(if: true) " * 140 + "}", "directives"),
    "unknown directives": ("{ __typename " + "@aa " * 400 + "}", "directives"),
    "repeated fields": ("{ viewer { " + "name " * 300 + "} }", "repeats"),
    "repeated objects": ("{ " + "viewer { name } " * 100 + "}", "repeats"),
    "fragments that multiply": (
        "{ viewer { ...f0 } } "
        + " ".join(f"fragment f{n} on Viewer {{ a{n}: account {{ id }} ...f{n + 1} ...f{n + 1} }}" for n in range(20))
        + " fragment f20 on Viewer { name }",
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
}  # fmt: skip


def refuse(text: str) -> LimitError:
    with pytest.raises(RefusedDocumentError) as refused:
        SCHEMA.documents.find(text)
    (error,) = refused.value.errors
    assert isinstance(error, LimitError), error
    return error


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_its_limit(name: str) -> None:
    text, limit = ATTACKS[name]
    assert refuse(text).extensions == {"code": "LIMIT_EXCEEDED", "limit": limit}


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("characters", 20, "{ __typename } # and more"),
        ("tokens", 3, "{ a: __typename }"),
        ("nesting", 1, "{ viewer { name } }"),
        ("depth", 1, "{ viewer { name } }"),
        ("fields", 1, "{ viewer { name } }"),
        ("aliases", 0, "{ a: __typename }"),
        ("directives", 0, "{ __typename @skip(if: false) }"),
        ("repeats", 0, "{ __typename __typename }"),
        ("ids", 1, '{ nodes(ids: ["a", "b"]) { id } }'),
    ],
)
def test_every_limit_can_be_set(setting: str, value: int, text: str) -> None:
    def documents(limits: Limits) -> Documents:
        return Documents(schema=SCHEMA.core, compiler=Compiler(), limits=limits)

    documents(Limits()).find(text)
    with pytest.raises(RefusedDocumentError, match="at most"):
        documents(replace(Limits(), **{setting: value})).find(text)


def test_introspections_own_query_is_within_the_limits() -> None:
    assert SCHEMA.documents.find(get_introspection_query()).survey.introspects


def test_names_are_not_guessed_at() -> None:
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
        ("{ recordings(first: 100) { nodes { account { recordings(first: 100) { nodes { id } } } } } }", {}, 10_302),
        ("{ viewer { ...f ...f } } fragment f on Viewer { name }", {}, 2),
    ],
)
def test_the_worst_case_is_what_it_costs(text: str, variables: dict[str, Any], cost: int) -> None:
    document = SCHEMA.documents.find(text)
    assert document.cost(document.operation(None), variables) == cost


@pytest.mark.parametrize("more", [{}, {"specified_by_url": True, "input_value_deprecation": True}])
async def test_introspections_own_query_is_answered(tmp_path: Path, more: dict[str, bool]) -> None:
    async with open_api(tmp_path, GraphQLSettings()) as api:
        answer = await api.send(get_introspection_query(**more))
    assert build_client_schema(answer["data"]).type_map.keys() >= {"Recording", "RecordingConnection"}
    assert answer["extensions"]["cost"]["requested"] < Limits().cost / 2
