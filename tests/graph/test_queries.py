"""The queries: by id, by global id, by account, and no access to the recordings of others."""

from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from graph.schema.global_id import global_id
from recordings.model.ids import MAX_ID
from recordings.model.options import RecordingOptions
from recordings.model.recording import Direction, EndCause, Reason, Span, SpanKind, State
from tests.graph.api import GRANTS, MEDIA, Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

FULL = """query($id: ID!) { recording(id: $id) {
  id plainId accountId account { id plainId name } state reason reasonDetail endCause start created modified
  durationMs callId interactionId cdrId ownerId endpointId from to request direction callerIdName callerIdNumber
  calleeIdName calleeIdNumber origin label name format recorder
  options { format label mediaName method recordMinSec recordOnAnswer recordOnBridge recordSampleRate
    shouldFollowTransfer timeLimit url }
  spans { kind at atMs durationMs }
  media { url urlExpires contentType length durationMs sampleRate channels sha256 storedAt }
  userMetadata customChannelVars trashedAt trashedBy trashedReason purgeAt revision
} }"""


async def test_every_field_of_a_recording_is_returned(api: Api) -> None:
    kept = await api.keep(
        reason=Reason.TOO_SHORT,
        end_cause=EndCause.HANGUP,
        direction=Direction.OUTBOUND,
        spans=(Span(SpanKind.MASKED, 1_000, 500, 250), Span(SpanKind.PAUSED, 2_000, 900)),
        user_metadata={"mood": [1, None, {"deep": True}]},
        caller_id_number="1001",
    )
    shown = (await api.ask(FULL, id=kept.id))["recording"]
    assert shown["id"] == b64encode(f"Recording:{kept.id}".encode()).decode()
    assert shown["plainId"] == kept.id
    assert shown["account"] == {"id": global_id("Account", ACCOUNT), "plainId": ACCOUNT, "name": "parent"}
    assert shown["state"] == "STORED"
    assert shown["reason"] == "TOO_SHORT"
    assert shown["endCause"] == "HANGUP"
    assert shown["direction"] == "OUTBOUND"
    assert shown["from"] == "1001@a.sip.invalid"
    assert shown["callerIdNumber"] == "1001"
    assert shown["calleeIdNumber"] is None
    assert shown["spans"] == [
        {"kind": "MASKED", "at": "1970-01-01T00:00:01.000Z", "atMs": 500, "durationMs": 250},
        {"kind": "PAUSED", "at": "1970-01-01T00:00:02.000Z", "atMs": 900, "durationMs": None},
    ]
    assert shown["userMetadata"] == {"mood": [1, None, {"deep": True}]}
    assert shown["options"]["timeLimit"] == 3_600
    assert shown["revision"] == 0


async def test_a_renamed_account_shows_its_new_name(api: Api) -> None:
    kept = await api.keep()
    query = "query($id: ID!, $account: ID!) { recording(id: $id) { account { name } } account(id: $account) { name } }"
    for name in ("parent", "renamed"):
        account = await api.installation.store.account(ACCOUNT)
        assert account is not None
        await api.installation.store.save_account(replace(account, name=name))
        shown = await api.ask(query, id=kept.id, account=ACCOUNT)
        assert (shown["recording"]["account"]["name"], shown["account"]["name"]) == (name, name)


async def test_a_recording_is_found_by_its_global_id_and_its_plain_id(api: Api) -> None:
    kept = await api.keep()
    ask = "query($id: ID!) { recording(id: $id) { plainId } }"
    for given in (kept.id, global_id("Recording", kept.id)):
        assert (await api.ask(ask, id=given))["recording"] == {"plainId": kept.id}
    for given in ("nothing", global_id("Account", kept.id), global_id("Recording", "nothing"), "x" * 5_000, ""):
        assert (await api.ask(ask, id=given))["recording"] is None


@pytest.mark.parametrize("identity", ["i" * MAX_ID, "\U0001f600" * MAX_ID], ids=["narrow", "wide"])
async def test_the_longest_id_is_found_by_its_global_id(api: Api, identity: str) -> None:
    kept = await api.keep(id=identity)
    ask = "query($id: ID!) { node(id: $id) { ... on Recording { plainId } } }"
    assert (await api.ask(ask, id=global_id("Recording", kept.id)))["node"] == {"plainId": identity}


async def test_a_deleted_recording_is_found_and_a_purged_one_is_not(api: Api) -> None:
    deleted = await api.trash()
    purged = await api.keep(state=State.PURGED)
    ask = "query($id: ID!) { recording(id: $id) { state trashedBy media { url urlExpires sha256 } } }"
    shown = (await api.ask(ask, id=deleted.id))["recording"]
    assert shown["state"] == "TRASHED"
    assert shown["trashedBy"] == "me"
    assert shown["media"] == {"url": None, "urlExpires": None, "sha256": MEDIA.sha256}
    assert (await api.ask(ask, id=purged.id))["recording"] is None


async def test_nodes_are_returned_in_the_order_of_their_ids(api: Api) -> None:
    first, second = await api.keep(), await api.keep()
    ids = [
        global_id("Recording", second.id),
        global_id("Account", ACCOUNT),
        global_id("Recording", "gone"),
        global_id("Recording", first.id),
        global_id("Account", SIBLING),
        global_id("Recording", second.id),
    ]
    watched = api.watch()
    ask = (
        "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Recording { callId } ... on Account { name } } }"
    )
    nodes = (await api.ask(ask, ids=ids))["nodes"]
    assert [node and node["id"] for node in nodes] == [ids[0], ids[1], None, ids[3], None, ids[5]]
    assert [node and node["__typename"] for node in nodes] == [
        "Recording", "Account", None, "Recording", None, "Recording",
    ]  # fmt: skip
    assert nodes[1]["name"] == "parent"
    assert nodes[0]["callId"] == second.call_id
    assert len(watched.rows_fields) == 1


async def test_a_node_is_found_only_by_its_global_id(api: Api) -> None:
    kept = await api.keep()
    ask = "query($id: ID!) { node(id: $id) { id ... on Recording { state } } }"
    assert (await api.ask(ask, id=global_id("Recording", kept.id)))["node"]["state"] == "STORED"
    error = await api.refused(ask, id=kept.id)
    assert error["path"] == ["node"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["path"] == ["id"]
    error = await api.refused(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[global_id("Account", ACCOUNT), "?"]
    )
    assert error["extensions"]["path"] == ["ids", "1"]
    error = await api.refused("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["?"] * 101)
    assert error["extensions"]["problems"] == [{"path": ["ids"], "allowed": "at most 100 ids"}]


async def test_viewer_describes_the_credentials(api: Api) -> None:
    ask = "{ viewer { account { id name parentId } ownerId scopes name } }"
    assert (await api.ask(ask, "ada"))["viewer"] == {
        "account": {"id": global_id("Account", ACCOUNT), "name": "parent", "parentId": None},
        "ownerId": "ada",
        "scopes": ["READ", "LISTEN", "CONTROL", "DELETE"],
        "name": "tester",
    }


async def test_a_descendant_account_is_found_but_does_not_see_its_parent(api: Api) -> None:
    await api.keep()
    below = await api.keep(account_id=CHILD)
    ask = "query($id: ID!) { account(id: $id) { name parentId recordings(first: 9) { totalCount nodes { id } } } }"
    for given in (CHILD, global_id("Account", CHILD)):
        shown = (await api.ask(ask, id=given))["account"]
        assert shown["parentId"] == ACCOUNT
        assert shown["recordings"] == {"totalCount": 1, "nodes": [{"id": global_id("Recording", below.id)}]}
    assert (await api.ask("{ viewer { account { parentId } } }", "child"))["viewer"]["account"]["parentId"] is None


async def test_live_calls_are_listed(api: Api) -> None:
    api.installation.recorder.ring(ACCOUNT, "one", owner_id="ada")
    api.installation.recorder.ring(ACCOUNT, "two")
    api.installation.recorder.ring(CHILD, "three")
    ask = """{ viewer { account { calls(first: 9) { nodes {
        callId accountId from started ownerId direction callerIdNumber } } } } }"""
    calls = (await api.ask(ask))["viewer"]["account"]["calls"]["nodes"]
    assert [call["callId"] for call in calls] == ["two", "one"]
    assert calls[1]["ownerId"] == "ada"
    assert calls[1]["started"].endswith("Z")
    assert [call["callId"] for call in (await api.ask(ask, "ada"))["viewer"]["account"]["calls"]["nodes"]] == ["one"]


LEAKS: list[tuple[str, dict[str, Any]]] = [
    ("query($id: ID!) { recording(id: $id) { id } }", {"id": "plain"}),
    ("query($id: ID!) { recording(id: $id) { id } }", {"id": "global"}),
    ("query($id: ID!) { node(id: $id) { id } }", {"id": "global"}),
    ("query($id: ID!) { nodes(ids: [$id]) { id } }", {"id": "global"}),
    ("query($id: ID!) { account(id: $id) { name recordings(first: 9) { nodes { id } } } }", {"id": "account"}),
    ("query($id: ID!) { node(id: $id) { ... on Account { recordings(first: 9) { nodes { id } } } } }", {"id": "node"}),
    ("{ recordings(first: 9) { totalCount nodes { id } } }", {}),
    ("{ recordings(first: 9, trashed: true) { totalCount nodes { id } } }", {}),
    ("query($id: String!) { recordings(first: 9, filter: {label: {equal: $id}}) { nodes { id } } }", {"id": "label"}),
    ("{ viewer { account { recordings(last: 9) { edges { node { id } } } } } }", {}),
    ("{ viewer { account { children(first: 9) { nodes { recordings(first: 9) { nodes { id } } } } } } }", {}),
    ("{ viewer { account { parent { recordings(first: 9) { nodes { id } } } } } }", {}),
]
ACTIONS = ("stop", "pause", "resume", "mask", "unmask", "delete", "restore")


@pytest.mark.parametrize("caller", ["sibling", "child", "ada"])
async def test_other_accounts_and_owners_have_no_access(api: Api, caller: str) -> None:
    kept = await api.keep(label="theirs", owner_id="bob")
    await api.trash(label="theirs", owner_id="bob")
    account = ACCOUNT if caller != "ada" else SIBLING
    ids = {
        "plain": kept.id,
        "global": global_id("Recording", kept.id),
        "account": account,
        "node": global_id("Account", account),
        "label": "theirs",
    }
    for query, variables in LEAKS:
        answer = await api.send(query, caller, **{name: ids[value] for name, value in variables.items()})
        assert "errors" not in answer
        assert kept.id not in str(answer["data"])
        assert global_id("Recording", kept.id) not in str(answer["data"])
    for action in ACTIONS:
        mutation = f"""mutation($id: ID!) {{ {action}Recording(input: {{id: $id}}) {{
            recording {{ id }} errors {{ ... on UserError {{ code path }} }} }} }}"""
        for given in ("plain", "global"):
            payload = (await api.ask(mutation, caller, id=ids[given]))[f"{action}Recording"]
            assert payload == {"recording": None, "errors": [{"code": "NOT_FOUND", "path": ["input", "id"]}]}
    assert (await api.installation.store.load(kept.id)) == kept


async def test_reading_needs_the_scope_read(api: Api) -> None:
    await api.keep()
    for query in ("{ recordings(first: 1) { nodes { id } } }", '{ recording(id: "x") { id } }'):
        error = await api.refused(query, "no_read")
        assert error["extensions"]["code"] == "FORBIDDEN"
    answer = await api.send("{ viewer { account { name calls(first: 1) { nodes { callId } } } } }", "uploader")
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert answer["data"] is None


async def test_a_media_url_is_signed_without_a_further_query(api: Api) -> None:
    kept = await api.keep()
    watched = api.watch()
    shown = await api.ask("{ recordings(first: 1) { nodes { media { url urlExpires length contentType } } } }")
    media = shown["recordings"]["nodes"][0]["media"]
    expires = api.installation.clock.now() + 600_000
    requester = parse_qs(urlsplit(media["url"]).query)["by"][0]
    signature = GRANTS.sign(kept.id, expires, requester)
    assert (
        media["url"]
        == f"http://api.test/media/{kept.id}?expires={expires}&by={requester}&signature={signature}&inline=true"
    )
    assert GRANTS.check(kept.id, expires, requester, signature).recording_id == kept.id
    assert media["length"] == 3_000_000_000
    assert media["contentType"] == "audio/mpeg"
    assert (len(watched.pages), watched.rows_fields, watched.loads) == (1, [], 0)


async def test_without_the_scope_listen_there_is_no_url_and_the_store_url_is_never_shown(api: Api) -> None:
    await api.keep()
    answer = await api.send("{ recordings(first: 1) { nodes { media { url urlExpires sha256 } } } }", "reader")
    media = answer["data"]["recordings"]["nodes"][0]["media"]
    assert media == {"url": None, "urlExpires": None, "sha256": MEDIA.sha256}
    assert "signature" not in str(answer)
    assert "secret-bucket" not in str(await api.send(FULL, id="x"))


async def test_the_delivery_url_needs_the_scope_control(api: Api) -> None:
    kept = await api.keep(options=RecordingOptions(url="https://u:p@example.org/"))
    ask = "query($id: ID!) { recording(id: $id) { options { url } } }"
    assert (await api.ask(ask, id=kept.id))["recording"]["options"]["url"] == "https://u:p@example.org/"
    assert (await api.ask(ask, "reader", id=kept.id))["recording"]["options"]["url"] is None


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ("{ recordings(first: 1) { nodes { callId } } }", {"call_id"}),
        ("{ recordings(first: 1) { nodes { id from } } }", {"id", "from"}),
        (
            "{ recordings(first: 1) { edges { node { start media { sha256 } } } nodes { to } } }",
            # An entry of the audit trail about a given URL needs the account.
            {"start", "media", "id", "account_id", "state", "to"},
        ),
        ("{ recordings(first: 1) { nodes { account { name } } } }", {"account_id"}),
        (
            """{ recordings(first: 1) { nodes { c: callId ...F } } }
            fragment F on Recording { label ... on Node { id } ... { ...G ...G } }
            fragment G on Recording { ownerId }""",
            {"call_id", "label", "id", "owner_id"},
        ),
        ("{ recordings(first: 1) { edges { cursor } } }", set()),
        ("{ recordings(first: 1) { totalCount } }", set()),
        (
            """{ recordings(first: 1) { ...C } }
            fragment C on RecordingConnection { edges { ...E } }
            fragment E on RecordingEdge { node { name } }""",
            {"name"},
        ),
        ("{ recordings(first: 1) { nodes { __typename spans { at } options { label } } } }", {"spans", "options"}),
        ("{ recordings(first: 1) { nodes { to } } recordings(first: 1) { nodes { from } } }", {"to", "from"}),
    ],
)
async def test_only_the_selected_fields_of_a_page_are_read(api: Api, document: str, fields: set[str]) -> None:
    await api.keep()
    watched = api.watch()
    await api.ask(document)
    assert [request.fields for request in watched.pages] == [frozenset(fields)]


async def test_only_the_selected_fields_of_a_recording_are_read(api: Api) -> None:
    kept = await api.keep()
    watched = api.watch()
    await api.ask("query($id: ID!) { a: recording(id: $id) { label } }", id=kept.id)
    assert watched.rows_fields == [frozenset({"label", "id", "account_id", "owner_id", "shelf"})]
