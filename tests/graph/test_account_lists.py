"""`Account.parent`, and the connections `Account.children` and `Account.calls`."""

from dataclasses import replace
from typing import Any

import pytest

from graph.schema.global_id import global_id
from recordings.model.account import Account
from recordings.model.call import position_of_call
from recordings.model.ids import new_id
from recordings.model.query import Position
from recordings.model.quota import Quota
from recordings.rules.cursor import TimeList
from tests.graph.api import CURSORS, Api
from tests.support.memory_installation import ACCOUNT, CHILD

PAGE = """query($first: Int, $after: String, $last: Int, $before: String) { viewer { account {
  children(first: $first, after: $after, last: $last, before: $before) {
    nodes { plainId } edges { cursor node { plainId } } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } } }"""


def of_calls(text: str) -> str:
    return text.replace("children", "calls").replace("plainId", "callId")


async def add_children(api: Api, count: int) -> list[str]:
    """Add children with few different times, and return the ids of all children, oldest first."""
    for number in range(count):
        await api.installation.store.add_account(Account(new_id(), f"c{number}", 10**15 + number // 3, (ACCOUNT,)))
    child = await api.installation.store.account(CHILD)
    added = [account for account in await api.installation.store.accounts() if account.parent_id == ACCOUNT]
    assert child in added
    return [account.id for account in sorted(added, key=lambda account: (account.created, account.id))]


async def ring(api: Api, count: int) -> list[str]:
    """Add live calls with few different times, and return their ids, newest first."""
    recorder, names = api.installation.recorder, []
    for number in range(count):
        api.installation.clock.move(number % 2)
        call = recorder.ring(ACCOUNT, f"call-{number * 7 % count:03}", owner_id="ada" if number % 2 else None)
        names.append((call.started, call.call_id))
    return [name for _, name in sorted(names, reverse=True)]


async def shown(api: Api, kind: str, **arguments: Any) -> dict[str, Any]:
    page: dict[str, Any] = (await api.ask(PAGE if kind == "children" else of_calls(PAGE), **arguments))["viewer"][
        "account"
    ][kind]
    return page


@pytest.mark.parametrize("kind", ["children", "calls"])
@pytest.mark.parametrize("size", [1, 3, 5, 100])
async def test_paging_in_both_directions_returns_each_item_once(api: Api, kind: str, size: int) -> None:
    expected = await (add_children if kind == "children" else ring)(api, 10)
    name = "plainId" if kind == "children" else "callId"
    for backward in (False, True):
        found: list[str] = []
        cursor: str | None = None
        while True:
            arguments = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
            page = await shown(api, kind, **arguments)
            here = [node[name] for node in page["nodes"]]
            assert [edge["node"][name] for edge in page["edges"]] == here
            found = [*here, *found] if backward else [*found, *here]
            ends = page["pageInfo"]
            assert page["totalCount"] == len(expected)
            assert (ends["startCursor"], ends["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
            assert ends["hasPreviousPage"] is (here[0] != expected[0])
            assert ends["hasNextPage"] is (here[-1] != expected[-1])
            if not ends["hasPreviousPage" if backward else "hasNextPage"]:
                break
            cursor = ends["startCursor" if backward else "endCursor"]
        assert found == expected


async def test_a_page_between_two_cursors_knows_both_ends(api: Api) -> None:
    await ring(api, 6)
    edges = (await shown(api, "calls", first=6))["edges"]
    page = await shown(api, "calls", first=9, after=edges[1]["cursor"], before=edges[3]["cursor"])
    assert [edge["cursor"] for edge in page["edges"]] == [edges[2]["cursor"]]
    assert (page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]) == (True, True)
    page = await shown(api, "calls", last=9, after=edges[1]["cursor"], before=edges[2]["cursor"])
    assert page["nodes"] == []
    assert (page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]) == (True, True)


async def test_more_than_a_hundred_live_calls_have_pages(api: Api) -> None:
    expected = await ring(api, 130)
    first = await shown(api, "calls", first=100)
    rest = await shown(api, "calls", first=100, after=first["pageInfo"]["endCursor"])
    assert [call["callId"] for call in (*first["nodes"], *rest["nodes"])] == expected
    assert first["totalCount"] == 130


async def test_a_cursor_stays_valid_after_its_call_has_ended(api: Api) -> None:
    expected = await ring(api, 6)
    cursor = (await shown(api, "calls", first=3))["pageInfo"]["endCursor"]
    api.installation.recorder.hang_up(ACCOUNT, expected[2])
    page = await shown(api, "calls", first=3, after=cursor)
    assert [call["callId"] for call in page["nodes"]] == expected[3:]


@pytest.mark.parametrize(
    ("arguments", "path", "allowed"),
    [
        ({}, "first", "an integer from 1 to 100 (or give last)"),
        ({"first": 1_000}, "first", "an integer from 1 to 100"),
        ({"last": 101}, "last", "an integer from 1 to 100"),
        ({"first": 1, "after": "x"}, "after", "a cursor that this service returned"),
    ],
)
@pytest.mark.parametrize("kind", ["children", "calls"])
async def test_invalid_arguments_are_refused(
    api: Api, kind: str, arguments: dict[str, Any], path: str, allowed: str
) -> None:
    error = await api.refused(PAGE if kind == "children" else of_calls(PAGE), **arguments)
    assert error["extensions"]["path"] == [path]
    assert allowed in error["message"]


async def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    await ring(api, 1)
    cursor = (await shown(api, "calls", first=1))["pageInfo"]["endCursor"]
    error = await api.refused(PAGE, first=1, after=cursor)
    assert "a cursor of the accounts" in error["message"]
    call = await api.installation.recorder.find_call(ACCOUNT, "call-000")
    assert call is not None
    assert cursor == CURSORS.encode(TimeList.CALLS, position_of_call(call))
    error = await api.refused(of_calls(PAGE), first=1, after=CURSORS.encode(TimeList.ACCOUNTS, Position(1, "x")))
    assert "a cursor of the calls" in error["message"]


async def test_an_account_knows_its_parent_and_its_children(api: Api) -> None:
    ask = """query($id: ID!) { account(id: $id) { parentId parent { id plainId parent { plainId } }
        children(first: 9) { nodes { plainId parent { plainId } children(first: 1) { totalCount } } } } }"""
    child = (await api.ask(ask, id=CHILD))["account"]
    assert child["parent"] == {"id": global_id("Account", ACCOUNT), "plainId": ACCOUNT, "parent": None}
    assert child["children"]["nodes"] == []
    own = (await api.ask(ask, id=ACCOUNT))["account"]
    assert (own["parentId"], own["parent"]) == (None, None)
    (below,) = own["children"]["nodes"]
    assert below == {"plainId": CHILD, "parent": {"plainId": ACCOUNT}, "children": {"totalCount": 0}}
    # The parent is above the account of these credentials.
    seen = (await api.ask(ask, "child", id=CHILD))["account"]
    assert (seen["parentId"], seen["parent"]) == (None, None)


async def test_the_credentials_of_an_owner_see_no_children_and_only_own_calls(api: Api) -> None:
    await ring(api, 5)
    ask = """{ viewer { account {
        children(first: 9) { totalCount nodes { id } } calls(first: 9) { totalCount nodes { ownerId } } } } }"""
    account = (await api.ask(ask, "ada"))["viewer"]["account"]
    assert account["children"] == {"totalCount": 0, "nodes": []}
    assert account["calls"] == {"totalCount": 2, "nodes": [{"ownerId": "ada"}] * 2}


async def test_a_live_call_has_a_global_id(api: Api) -> None:
    await ring(api, 2)
    ask = "{ viewer { account { calls(first: 9) { nodes { id callId } } } } }"
    calls = (await api.ask(ask))["viewer"]["account"]["calls"]["nodes"]
    found = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on LiveCall { callId direction } } }"
    ids = [call["id"] for call in calls] + [global_id("LiveCall", text) for text in ("x", f"{ACCOUNT}:gone", ":")]
    nodes = (await api.ask(found, ids=ids))["nodes"]
    assert nodes[:2] == [{"__typename": "LiveCall", **call, "direction": None} for call in calls]
    assert nodes[2:] == [None] * 3
    # These credentials may not access the account, or the other owner's call.
    assert (await api.ask(found, "sibling", ids=ids))["nodes"] == [None] * 5
    assert [node and node["callId"] for node in (await api.ask(found, "ada", ids=ids[:2]))["nodes"]] == [
        None if call["callId"] == "call-000" else call["callId"] for call in calls
    ]


async def test_a_live_call_says_what_its_recorder_supports(api: Api) -> None:
    await ring(api, 1)
    ask = "{ viewer { account { calls(first: 9) { nodes { recorder capabilities } } } } }"
    all_of_them = ["PAUSE", "MASK", "ON_ANSWER", "ON_BRIDGE", "FOLLOW_TRANSFER", "CONTINUES"]
    call = {"recorder": "scripted", "capabilities": all_of_them}
    assert (await api.ask(ask))["viewer"]["account"]["calls"]["nodes"] == [call]
    # The same in a request that is not compiled.
    ids = "{ viewer { account { calls(first: 9) { nodes { id } } } } }"
    ((found),) = (await api.ask(ids))["viewer"]["account"]["calls"]["nodes"]
    node = "query($id: ID!) { node(id: $id) { ... on LiveCall { recorder capabilities } } }"
    assert (await api.ask(node, id=found["id"]))["node"] == call


async def test_lists_need_the_scope_read(api: Api) -> None:
    for kind in ("children", "calls"):
        answer = await api.send(f"{{ viewer {{ account {{ {kind}(first: 1) {{ totalCount }} }} }} }}", "no_read")
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


QUOTAS = """{ viewer { account {
  quota { bytes recordingsPerDay streams uploads decodingSeconds }
  usage { bytes recordingsPerDay streams uploads decodingSeconds } } } }"""


async def test_the_quotas_and_the_usage_of_an_account(api: Api) -> None:
    store = api.installation.store
    account = await store.account(ACCOUNT)
    assert account is not None
    await store.save_account(replace(account, quota=Quota(bytes=2**40, recordings_per_day=1)))
    api.installation.recorder.ring(ACCOUNT, "one")
    api.installation.recorder.ring(ACCOUNT, "two")
    start = """mutation($call: ID!) { startRecording(input: {callId: $call}) {
      recording { state } errors { __typename ... on UserError { code message } } } }"""
    assert (await api.ask(start, call="one"))["startRecording"]["errors"] == []
    refused = (await api.ask(start, call="two"))["startRecording"]
    assert refused["recording"] is None
    (error,) = refused["errors"]
    assert (error["__typename"], error["code"]) == ("QuotaExceededError", "QUOTA_EXCEEDED")
    assert error["message"] == "the quota `recordingsPerDay` of the account is used up: 1 of 1"
    found = (await api.ask(QUOTAS))["viewer"]["account"]
    assert found["quota"] == {
        "bytes": 2**40, "recordingsPerDay": 1, "streams": None, "uploads": None, "decodingSeconds": None
    }  # fmt: skip
    assert found["usage"] == {"bytes": 0, "recordingsPerDay": 1, "streams": 0, "uploads": 0, "decodingSeconds": 0}
