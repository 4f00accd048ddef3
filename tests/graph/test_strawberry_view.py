"""Details of the view: its JSON encoding and its error responses."""

import pytest
from bson import Int64

from graph.schema.build import schema
from graph.server.graphql_app import GraphQLApp, GraphQLServices, GraphQLSettings
from tests.graph.api import CURSORS, GRANTS, URL, Api, authenticate


def view(api: Api) -> GraphQLApp:
    house = api.house
    services = GraphQLServices(
        recordings=house.service, cursors=CURSORS, grants=GRANTS, clock=house.clock, authenticate=authenticate
    )
    return GraphQLApp(services, GraphQLSettings(), schema)


async def test_integer_types_of_the_database_driver_are_encoded_as_integers(api: Api) -> None:
    assert (
        view(api).encode_json({"length": Int64(3_000_000_000), "é": None}) == '{"length":3000000000,"é":null}'.encode()
    )


async def test_a_value_that_json_does_not_have_is_an_error(api: Api) -> None:
    with pytest.raises(TypeError, match="complex is not JSON"):
        view(api).encode_json({"value": 1j})


async def test_a_405_response_lists_the_allowed_methods(api: Api) -> None:
    response = await api.http.delete(URL, headers={"authorization": "Bearer me"})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_without_a_token_the_schema_is_not_shown(api: Api) -> None:
    response = await api.http.post(URL, json={"query": "{ __schema { types { name } } }"})
    assert response.status_code == 401
    assert "Recording" not in response.text
