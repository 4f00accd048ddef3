"""The API as a subgraph of Apollo Federation. `tests/node` composes it with a second one."""

from typing import Any

import pytest

from graph.schema.build import sdl
from graph.schema.global_id import ACCOUNT, RECORDING, global_id
from tests.graph.api import Api
from tests.support.memory_installation import ACCOUNT as OWN
from tests.support.memory_installation import CHILD, SIBLING

ENTITIES = """query($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename ... on Recording { plainId media { durationMs } } ... on Account { plainId name } } }"""


def reference(type_name: str, plain_id: str) -> dict[str, str]:
    return {"__typename": type_name, "id": global_id(type_name, plain_id)}


async def test_references_are_resolved_in_their_order_with_one_query(api: Api) -> None:
    own, child = await api.keep(), await api.keep(account_id=CHILD)
    hidden = await api.keep(account_id=SIBLING)
    watched = api.watch()
    ids = [child.id, "202611-unknown", own.id, hidden.id, own.id]
    representations = [reference(RECORDING, each) for each in ids] + [reference(ACCOUNT, OWN)]
    found = (await api.ask(ENTITIES, caller="me", representations=representations))["_entities"]
    assert [each and each["plainId"] for each in found] == [child.id, None, own.id, None, own.id, OWN]
    assert [each and each["__typename"] for each in found][-2:] == [RECORDING, ACCOUNT]
    assert len(watched.rows_fields) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        "text",
        None,
        [],
        {"__typename": "Media", "id": "x"},
        {"__typename": RECORDING},
        {"__typename": RECORDING, "id": 1},
        {"__typename": RECORDING, "id": "202611-1"},
        {"__typename": RECORDING, "id": global_id(ACCOUNT, OWN)},
    ],
)
async def test_a_wrong_reference_has_an_error_and_the_others_are_resolved(api: Api, wrong: Any) -> None:
    kept = await api.keep()
    answer = await api.send(ENTITIES, representations=[reference(ACCOUNT, OWN), wrong, reference(RECORDING, kept.id)])
    (error,) = answer["errors"]
    if wrong is None:
        # GraphQL itself rejects it: the list has no nulls.
        assert "data" not in answer
        return
    assert [each and each["plainId"] for each in answer["data"]["_entities"]] == [OWN, None, kept.id]
    assert error["path"] == ["_entities", 1]
    assert error["extensions"]["path"][:2] == ["representations", "1"]
    assert error["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize("wrong", ["", "x", "é", "UmVjb3JkaW5nOg==", "TWVkaWE6eA==", "A" * 20_000])
async def test_a_malformed_id_of_nodes_has_an_error_and_the_others_are_found(api: Api, wrong: str) -> None:
    first, second = [await api.keep() for _ in range(2)]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Recording { plainId media { durationMs } } } }"
    ids = [global_id(RECORDING, first.id), wrong, global_id(ACCOUNT, OWN), wrong, global_id(RECORDING, second.id)]
    answer = await api.send(query, ids=ids)
    found = [each and each.get("plainId", each["id"]) for each in answer["data"]["nodes"]]
    assert found == [first.id, None, ids[2], None, second.id]
    assert [error["path"] for error in answer["errors"]] == [["nodes", 1], ["nodes", 3]]
    assert [error["extensions"]["path"] for error in answer["errors"]] == [["ids", "1"], ["ids", "3"]]


async def test_references_are_limited_and_priced_as_a_page(api: Api) -> None:
    representations = [reference(RECORDING, f"202611-{number}") for number in range(101)]
    error = await api.refused(ENTITIES, representations=representations)
    assert "at most 100" in error["message"]
    answer = await api.send(ENTITIES, representations=representations[:50])
    assert answer["extensions"]["cost"]["requested"] > 50 * 4
    error = await api.refused(ENTITIES, representations=representations * 2)
    assert error["extensions"]["limit"] == "ids"


async def test_a_gateway_reads_the_schema_with_keys_and_clients_read_it_without(api: Api) -> None:
    text = (await api.ask("{ _service { sdl } }"))["_service"]["sdl"]
    assert text.startswith("extend schema @link(")
    assert text.count('@key(fields: "id")') == 2
    assert 'type Recording implements Node @key(fields: "id") {' in text
    assert "type PageInfo @shareable {" in text
    assert "@key" not in sdl()


async def test_the_schema_of_a_gateway_needs_the_scope_of_introspection(api: Api) -> None:
    error = await api.refused("{ _service { sdl } }", caller="no_read")
    assert error["extensions"]["code"] == "INTROSPECTION_REFUSED"
