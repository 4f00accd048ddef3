"""Clients that nobody here wrote: schemathesis, which sends what the OpenAPI document allows and what it does not, and
`kazoo-sdk`, the reference's own client, used as its documentation says."""

from collections.abc import Iterator
from typing import Any

import kazoo
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from kazoo import exceptions as errors
from kazoo.request_objects import KazooRequest
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok

from adapters.rest_v2.openapi.openapi_document import openapi
from tests.rest_v2.live_server import Live, live

RECORDINGS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("live"), RECORDINGS) as running:
        yield running


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis_finds_nothing(server: Live, mode: str) -> None:
    schema = schemathesis.openapi.from_dict(openapi("1"))
    # What hangs is found out, what is slow on a busy machine is not: its own limit is ten seconds.
    schema.config.update(base_url=f"{server.address}/v2", request_timeout=60)
    passed_over = CHECKS.get_by_names(
        [
            # What is unknown in a query is passed over, and much that is malformed reads as its default (1.4 to 1.6).
            "negative_data_rejection",
            # A start key, a condition or a time may be of the right form and still be none.
            "positive_data_acceptance",
            # Every case gets a token that holds, whatever credentials were made up for it.
            "ignored_auth",
        ]
    )
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        _try(server, found.ok(), schemathesis.GenerationMode(mode), passed_over)


def _try(server: Live, operation: Any, mode: Any, passed_over: list[Any]) -> None:
    left = iter(server.recordings * RECORDINGS)

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        known = {"account_id": server.account_id, "channel_id": "live", "user_id": "0" * 32, "recording_id": next(left)}
        case.path_parameters.update({name: known[name] for name in case.path_parameters})
        case.headers = {**(case.headers or {}), "X-Auth-Token": server.token}
        response = case.call()
        # What is no HTTP is refused by the server itself.
        if "x-request-id" in response.headers:
            assert response.status_code < 500
            case.validate_response(response, excluded_checks=passed_over)

    run()


@pytest.fixture(params=["key", "password"])
def sdk(server: Live, request: pytest.FixtureRequest) -> Any:
    """The client, logged in one way and the other."""
    ways: dict[str, dict[str, str]] = {
        "key": {"api_key": server.api_key},
        # It digests the name as it is given, so it has to be given in lower case.
        "password": {"username": "admin", "password": "secret", "account_name": "Live"},
    }
    client = kazoo.Client(base_url=f"{server.address}/v2", **ways[request.param])
    client.authenticate()
    return client


def test_the_sdk_as_a_user_would(server: Live, sdk: Any) -> None:

    def ask(path: str, method: str = "get", **params: str) -> Any:
        request = KazooRequest(path, method=method, get_params=params or None)
        return request.execute(f"{server.address}/v2", token=sdk.auth_token, account_id=server.account_id)

    assert sdk.get_account(server.account_id)["data"]["name"] == "Live"
    assert [user["username"] for user in sdk.get_users(server.account_id)["data"]] == ["admin"]
    listed = ask("/accounts/{account_id}/recordings", page_size="5")
    assert listed["page_size"] == 5
    # Not one of those that schemathesis started, nor one whose audio it stopped a moment ago: such are not deleted yet.
    identity = next(row["id"] for row in listed["data"] if row["id"] in server.recordings)
    one = f"/accounts/{{account_id}}/recordings/{identity}"
    assert ask(one)["data"]["id"] == identity
    assert ask(one, "delete")["data"]["_read_only"]["deleted"]
    with pytest.raises(errors.KazooApiError):
        ask(one)


def test_the_sdk_is_told_when_it_may_not(server: Live) -> None:
    for ways, error in (
        ({"api_key": "0" * 64}, errors.KazooApiError),
        ({"api_key": "short"}, errors.KazooApiBadDataError),
        ({"username": "admin", "password": "x", "account_name": "Live"}, errors.KazooApiAuthenticationError),
    ):
        with pytest.raises(error):
            kazoo.Client(base_url=f"{server.address}/v2", **ways).authenticate()
