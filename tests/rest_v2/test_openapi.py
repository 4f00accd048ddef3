"""The OpenAPI document matches the code."""

from collections.abc import Iterator
from typing import Any

from adapters.rest_v2.listing.list_filters import KEYED, TIMES
from adapters.rest_v2.openapi.openapi_document import HEADERS, PARAMETERS, openapi, statuses
from adapters.rest_v2.openapi.openapi_document import KEYED as PREFIXES
from adapters.rest_v2.v2_routes import OPERATIONS, find
from recordings.model import options

DOCUMENT = openapi("1")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_the_document_has_exactly_the_operations_of_the_server() -> None:
    described = {(path, method, operation["operationId"]) for path, method, operation in operations()}
    assert described == {(each.path, each.method, each.name) for each in OPERATIONS}


def test_every_path_leads_to_its_operation() -> None:
    for path, method, operation in operations():
        found = find(method, path.replace("{", "").replace("}", ""))
        assert found.operation.name == operation["operationId"]
        assert set(map(int, operation["responses"])) == set(statuses(found.operation))


def test_every_parameter_is_described() -> None:
    listing = next(each for each in OPERATIONS if each.name == "list_recordings")
    assert {*KEYED, *TIMES, *PREFIXES} <= set(listing.parameters)
    used = {name for each in OPERATIONS for name in each.parameters}
    assert used == {*PARAMETERS, *HEADERS, *PREFIXES}


def test_the_parameters_of_a_recording_are_the_documented_ones() -> None:
    flow = DOCUMENT["components"]["schemas"]["Metaflow"]["properties"]["data"]["properties"]["data"]["properties"]
    assert set(flow) == set(options.PARAMETERS)
    assert flow["time_limit"] == {
        "type": "integer",
        "description": "Maximum duration in seconds, measured by this service's clock. A larger value counts as 10800, "
        "and 0 or less as 3600.",
    }


def test_every_reference_has_a_target() -> None:
    names = set(references(DOCUMENT))
    assert {name.rpartition("/")[2] for name in names} <= set(DOCUMENT["components"]["schemas"])


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
