"""The mutations for the secret that signs an account's deliveries."""

from typing import Any

import pytest

from graph.schema.global_id import ACCOUNT as ACCOUNT_TYPE
from graph.schema.global_id import global_id
from recordings.rules.webhook_signature import new_signing_secret, read_signing_secret
from tests.graph.api import Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

ROTATE = """
mutation Rotate($input: RotateDeliverySecretInput!) {
  rotateDeliverySecret(input: $input) { secret errors { ... on UserError { code path } } }
}
"""
CLEAR = """
mutation Clear($input: ClearDeliverySecretInput!) {
  clearDeliverySecret(input: $input) { remaining errors { ... on UserError { code path } } }
}
"""


async def rotate(api: Api, caller: str = "admin", **input: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.ask(ROTATE, caller, input=input))["rotateDeliverySecret"]
    return payload


async def clear(api: Api, caller: str = "admin", **input: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.ask(CLEAR, caller, input=input))["clearDeliverySecret"]
    return payload


async def test_a_secret_is_set_rotated_and_cleared(api: Api) -> None:
    made = await rotate(api)
    assert made["errors"] == []
    read_signing_secret(made["secret"])
    given = new_signing_secret()
    assert await rotate(api, secret=given, accountId=global_id(ACCOUNT_TYPE, ACCOUNT)) == {
        "secret": given,
        "errors": [],
    }
    assert await clear(api, onlyOld=True) == {"remaining": 1, "errors": []}
    assert await clear(api) == {"remaining": 0, "errors": []}
    assert (await rotate(api, accountId=CHILD))["errors"] == []
    assert await clear(api) == {"remaining": 0, "errors": []}
    assert await clear(api, accountId=CHILD, onlyOld=True) == {"remaining": 1, "errors": []}


@pytest.mark.parametrize(
    ("caller", "input", "code"),
    [
        ("me", {}, "FORBIDDEN"),
        ("reader", {}, "FORBIDDEN"),
        ("ada", {}, "FORBIDDEN"),
        ("admin", {"accountId": SIBLING}, "NOT_FOUND"),
        ("admin", {"accountId": "9" * 32}, "NOT_FOUND"),
    ],
)
async def test_other_callers_are_refused(api: Api, caller: str, input: dict[str, Any], code: str) -> None:
    for send in (rotate, clear):
        payload = await send(api, caller, **input)
        assert [error["code"] for error in payload["errors"]] == [code]
        assert payload.get("secret", payload.get("remaining")) is None


@pytest.mark.parametrize("secret", ["", "x", "whsec_AAAA", f"whsec_{'A' * 200}"])
async def test_a_weak_secret_is_rejected(api: Api, secret: str) -> None:
    payload = await rotate(api, secret=secret)
    assert payload["errors"] == [{"code": "INVALID_INPUT", "path": ["input", "secret"]}]
    assert await clear(api) == {"remaining": 0, "errors": []}
