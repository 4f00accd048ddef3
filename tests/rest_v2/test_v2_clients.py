"""External clients: schemathesis, which sends valid and invalid requests of the OpenAPI document, and `kazoo-sdk`."""

import json
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

# Importing kazoo changes how `json.loads` of this process makes objects. Other tests compare plain dictionaries.
vars(json)["_default_decoder"] = json.JSONDecoder()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("live"), RECORDINGS) as running:
        yield running


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis_finds_no_error(server: Live, mode: str) -> None:
    schema = schemathesis.openapi.from_dict(openapi("1"))
    # A hanging request fails, but a slow one on a busy machine does not. The default timeout is ten seconds.
    schema.config.update(base_url=f"{server.address}/v2", request_timeout=60)
    excluded_checks = CHECKS.get_by_names(
        [
            # Unknown parameters are ignored, and many malformed ones count as absent.
            "negative_data_rejection",
            # A start key, a condition or a time can be well-formed and still be invalid.
            "positive_data_acceptance",
            # Every case gets a valid token in addition to its random credentials.
            "ignored_auth",
        ]
    )
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        _check_operation(server, found.ok(), schemathesis.GenerationMode(mode), excluded_checks)


def _check_operation(server: Live, operation: Any, mode: Any, excluded_checks: list[Any]) -> None:
    unused_ids = iter(server.recordings * RECORDINGS)

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        known = {
            "account_id": server.account_id,
            "channel_id": "live",
            "user_id": "0" * 32,
            "device_id": "d" * 32,
            "webhook_id": server.webhook_id,
            "sample_id": "webhooks_object",
            "recording_id": next(unused_ids),
        }
        case.path_parameters.update({name: known[name] for name in case.path_parameters})
        case.headers = {**(case.headers or {}), "X-Auth-Token": server.token}
        response = case.call()
        # The HTTP server itself rejects a malformed request.
        if "x-request-id" in response.headers:
            assert response.status_code < 500
            case.validate_response(response, excluded_checks=excluded_checks)

    run()


@pytest.fixture(params=["key", "password"])
def sdk(server: Live, request: pytest.FixtureRequest) -> Any:
    """A client, signed in with a key or a password."""
    options: dict[str, dict[str, str]] = {
        "key": {"api_key": server.api_key},
        # The client does not convert the name to lower case.
        "password": {"username": "admin", "password": "secret", "account_name": "Live"},
    }
    client = kazoo.Client(base_url=f"{server.address}/v2", **options[request.param])
    client.authenticate()
    return client


def test_the_sdk_lists_reads_and_deletes(server: Live, sdk: Any) -> None:

    def ask(path: str, method: str = "get", **params: str) -> Any:
        request = KazooRequest(path, method=method, get_params=params or None)
        return request.execute(f"{server.address}/v2", token=sdk.auth_token, account_id=server.account_id)

    assert sdk.get_account(server.account_id)["data"]["name"] == "Live"
    assert [user["username"] for user in sdk.get_users(server.account_id)["data"]] == ["admin"]
    listed = ask("/accounts/{account_id}/recordings", page_size="5")
    assert listed["page_size"] == 5
    # A recording that schemathesis started or stopped cannot be deleted yet.
    identity = next(row["id"] for row in listed["data"] if row["id"] in server.recordings)
    one = f"/accounts/{{account_id}}/recordings/{identity}"
    assert ask(one)["data"]["id"] == identity
    assert ask(one, "delete")["data"]["_read_only"]["deleted"]
    with pytest.raises(errors.KazooApiError):
        ask(one)


def test_the_sdk_gets_errors_for_wrong_credentials(server: Live) -> None:
    for options, error in (
        ({"api_key": "0" * 64}, errors.KazooApiError),
        ({"api_key": "short"}, errors.KazooApiBadDataError),
        ({"username": "admin", "password": "x", "account_name": "Live"}, errors.KazooApiAuthenticationError),
    ):
        with pytest.raises(error):
            kazoo.Client(base_url=f"{server.address}/v2", **options).authenticate()
