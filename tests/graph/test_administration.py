"""Users, API keys, ingest addresses and retention rules in the API."""

from typing import Any

import pytest

from recordings.model.user import Method, hash_password
from recordings.use_cases.accounts import hash_secret
from tests.graph.api import Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

ERRORS = "errors { ... on UserError { code message path } }"
USER = "user { id username firstName isAdmin disabledAt }"
LISTS = {
    "users": "username",
    "apiKeys": "scopes revokedAt",
    "ingestAddresses": "recordAll revokedAt",
}


async def change(api: Api, name: str, values: dict[str, Any], fields: str = "", caller: str = "root") -> dict[str, Any]:
    """Send a mutation with one input, and return its payload."""
    kind = f"{name[0].upper()}{name[1:]}Input"
    query = f"mutation M($input: {kind}!) {{ {name}(input: $input) {{ {fields} {ERRORS} }} }}"
    payload: dict[str, Any] = (await api.ask(query, caller, input=values))[name]
    return payload


async def listed(api: Api, name: str, account_id: str = ACCOUNT) -> list[dict[str, Any]]:
    query = f"query Q($id: ID!) {{ {name}(first: 100, accountId: $id) {{ nodes {{ id {LISTS[name]} }} totalCount }} }}"
    page = (await api.ask(query, "root", id=account_id))[name]
    assert page["totalCount"] == len(page["nodes"])
    nodes: list[dict[str, Any]] = page["nodes"]
    return nodes


async def test_a_key_is_valid_until_it_is_revoked(api: Api) -> None:
    made = await change(api, "createApiKey", {"scopes": ["READ", "LISTEN"], "accountId": CHILD}, "secret apiKey { id }")
    key = await api.installation.store.key_by_hash(hash_secret(made["secret"]))
    assert key is not None
    assert (key.id, key.account_id, key.revoked) == (made["apiKey"]["id"], CHILD, None)
    assert await listed(api, "apiKeys", CHILD) == [{"id": key.id, "scopes": ["LISTEN", "READ"], "revokedAt": None}]
    elsewhere = await change(api, "revokeApiKey", {"id": key.id})
    assert [each["code"] for each in elsewhere["errors"]] == ["NOT_FOUND"]
    revoked = await change(api, "revokeApiKey", {"id": key.id, "accountId": CHILD}, "apiKey { revokedAt }")
    assert revoked["apiKey"]["revokedAt"] is not None


async def test_an_ingest_address_has_a_url_that_is_shown_once(api: Api) -> None:
    made = await change(api, "createIngestAddress", {"recordAll": True}, "url ingestAddress { id recordAll }")
    address_id = made["ingestAddress"]["id"]
    *_, shown_id, secret = made["url"].split("/")
    address = await api.installation.store.ingest_address(address_id)
    assert address is not None
    assert (shown_id, address.secret_sha256, address.record_all) == (address_id, hash_secret(secret), True)
    assert [each["id"] for each in await listed(api, "ingestAddresses")] == [address_id]
    revoked = await change(api, "revokeIngestAddress", {"id": address_id}, "ingestAddress { revokedAt }")
    assert revoked["ingestAddress"]["revokedAt"] is not None


async def test_the_life_of_a_user(api: Api) -> None:
    values = {"username": "maya", "password": "correct horse", "firstName": "Maya"}
    made = await change(api, "createUser", values, USER)
    user_id = made["user"]["id"]
    assert made["user"] == {
        "id": user_id, "username": "maya", "firstName": "Maya", "isAdmin": False, "disabledAt": None
    }  # fmt: skip
    again = await change(api, "createUser", values, USER)
    assert (again["user"], [each["code"] for each in again["errors"]]) == (None, ["INVALID_STATE"])
    short = await change(api, "setUserPassword", {"id": user_id, "password": "short"}, USER)
    assert [each["path"] for each in short["errors"]] == [["input", "password"]]
    assert "short" not in short["errors"][0]["message"].replace("shorter", "")
    await change(api, "setUserPassword", {"id": user_id, "password": "battery staple"}, USER)
    hashed = hash_password(ACCOUNT, "maya", "battery staple").of(Method.MD5)
    found = await api.installation.store.user_by_hash(ACCOUNT, Method.MD5, hashed)
    assert found is not None
    assert found.id == user_id
    await _changes_of_a_user(api, user_id)
    for disabled in (True, False):
        changed = await change(api, "setUserDisabled", {"id": user_id, "disabled": disabled}, USER)
        assert (changed["user"]["disabledAt"] is not None) == disabled
    await change(api, "deleteUser", {"id": user_id}, USER)
    assert await listed(api, "users") == []


async def _changes_of_a_user(api: Api, user_id: str) -> None:
    named = await change(api, "updateUser", {"id": user_id, "lastName": "Lind", "firstName": None}, USER)
    assert (named["user"]["firstName"], named["errors"]) == ("Maya", [])
    stored = await api.installation.store.user(ACCOUNT, user_id)
    assert stored is not None
    assert (stored.last_name, (await api.installation.store.access_state(ACCOUNT, [user_id], None)).not_before) == (
        "Lind",
        stored.created,
    )
    api.installation.clock.move(5)
    admin = await change(api, "updateUser", {"id": user_id, "isAdmin": True, "lastName": ""}, USER)
    assert admin["user"]["isAdmin"]
    state = await api.installation.store.access_state(ACCOUNT, [user_id], None)
    assert state.not_before == api.installation.clock.now()
    for values, path in (({}, ["input", "user"]), ({"email": "x\n"}, ["input", "email"])):
        refused = await change(api, "updateUser", {"id": user_id, **values}, USER)
        assert (refused["user"], [each["path"] for each in refused["errors"]]) == (None, [path])
    missing = await change(api, "updateUser", {"id": "no", "email": ""}, USER)
    assert [each["code"] for each in missing["errors"]] == ["NOT_FOUND"]


async def test_a_retention_rule_is_set_and_removed(api: Api) -> None:
    rules = "rules { label days }"
    await change(api, "setRetentionRule", {"days": 30}, rules)
    both = await change(api, "setRetentionRule", {"days": 7, "label": "Sales"}, rules)
    assert both["rules"] == [{"label": None, "days": 30}, {"label": "Sales", "days": 7}]
    assert (await api.ask("{ retentionRules { label days } }", "root"))["retentionRules"] == both["rules"]
    run = await api.installation.store.retention_run(ACCOUNT)
    assert run is not None
    left = await change(api, "clearRetentionRule", {}, rules)
    assert left["rules"] == [{"label": "Sales", "days": 7}]
    unknown = await change(api, "clearRetentionRule", {"label": "Nothing"}, rules)
    assert [each["code"] for each in unknown["errors"]] == ["NOT_FOUND"]
    many = await change(api, "setRetentionRule", {"days": 0}, rules)
    assert (many["rules"], [each["code"] for each in many["errors"]]) == ([], ["INVALID_INPUT"])


async def test_an_administrator_gives_away_only_own_scopes(api: Api) -> None:
    for name, values in (
        ("createApiKey", {"scopes": ["LISTEN"]}),
        ("createUser", {"username": "x", "password": "correct horse"}),
        ("setRetentionRule", {"days": 1}),
    ):
        payload = await change(api, name, values, caller="admin")
        assert [each["code"] for each in payload["errors"]] == ["FORBIDDEN"], name
    assert (await change(api, "createApiKey", {"scopes": ["READ", "ADMIN"]}, caller="admin"))["errors"] == []
    upload = await change(api, "createApiKey", {"scopes": ["INGEST"]})
    assert [each["code"] for each in upload["errors"]] == ["FORBIDDEN"]
    assert [each["code"] for each in (await change(api, "createApiKey", {"scopes": []}))["errors"]] == ["INVALID_INPUT"]


@pytest.mark.parametrize("name", ["users", "apiKeys", "ingestAddresses"])
async def test_a_list_has_pages_in_both_directions(api: Api, name: str) -> None:
    for number in range(5):
        api.installation.clock.move(1)
        if name == "users":
            await change(api, "createUser", {"username": f"user{number}", "password": "correct horse"})
        elif name == "apiKeys":
            await change(api, "createApiKey", {"scopes": ["READ"]})
        else:
            await change(api, "createIngestAddress", {})
    ids = [each["id"] for each in await listed(api, name)]
    for size, cursor, reads in (("first", "after", ids), ("last", "before", ids[::-1])):
        query = (
            f"query Q($at: String) {{ {name}({size}: 2, {cursor}: $at) {{ edges {{ cursor node {{ id }} }} "
            "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
        )
        found, at, more = [], None, True
        while more:
            page = (await api.ask(query, "root", at=at))[name]
            edges = page["edges"] if size == "first" else page["edges"][::-1]
            found += [edge["node"]["id"] for edge in edges]
            at = page["pageInfo"]["endCursor" if size == "first" else "startCursor"]
            more = page["pageInfo"]["hasNextPage" if size == "first" else "hasPreviousPage"]
        assert found == reads
    assert await api.refused(f'{{ {name}(first: 1, accountId: "{SIBLING}") {{ totalCount }} }}', "root")
    assert await api.refused(f"{{ {name}(first: 1) {{ totalCount }} }}", "reader")
