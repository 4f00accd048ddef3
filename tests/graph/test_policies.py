"""Recording policies in GraphQL."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from graph.schema.global_id import global_id
from recordings.model.call import Network
from recordings.model.recording import Direction
from recordings.model.recording_policy import DocumentKind
from recordings.ports.recorder import CallChange, CallEvent
from tests.graph.api import PRINCIPALS, Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, principal

SET = """
mutation Set($input: SetRecordingPolicyInput!) {
  setRecordingPolicy(input: $input) {
    policy {
      scope id accountId fill revision consent duplicates callRecording
      cells { direction network decision format recordSampleRate timeLimit url }
      locks { kind direction network numbers exceptions }
    }
    warnings
    errors { __typename ... on UserError { code path message } }
  }
}
"""
GET = """
query Get($scope: RecordingPolicyScope!, $id: ID, $account: ID) {
  recordingPolicy(scope: $scope, id: $id, accountId: $account) {
    id fill revision modified callRecording cells { direction network decision url }
  }
}
"""
DECISION = "policy { source documentId revision cell decision fill reasons locked evaluatedAt }"
ANSWER = """
mutation Answer($input: AnswerConsentInput!) {
  answerConsent(input: $input) {
    recording { state reason consent { state by } }
    errors { ... on UserError { code } }
  }
}
"""
EXPLAIN = """
query Explain($call: PolicyCallInput!) {
  explainRecordingPolicy(call: $call) {
    decision source because refused direction network consent warnings
    recordings { source documentId revision cell reasons origin options { format timeLimit url recordOnAnswer } }
    levels { scope documentId revision fill cell decision }
  }
}
"""


async def put(api: Api, caller: str = "root", **input: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.ask(SET, caller, input=input))["setRecordingPolicy"]
    return payload


@pytest.mark.parametrize("scope", ["ACCOUNT", "ENDPOINT_DEFAULT"])
async def test_an_id_never_selects_a_policy_of_the_whole_account(api: Api, scope: str) -> None:
    on = [{"decision": "RECORD"}]
    assert (await put(api, scope=scope, id=ACCOUNT, accountId=ACCOUNT, cells=on))["errors"] == []
    for identity in ("ada", CHILD, ""):
        (error,) = (await put(api, scope=scope, id=identity, accountId=ACCOUNT, cells=[]))["errors"]
        assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", "id"])
        assert error["message"].startswith("id must be left out for a policy of the whole account")
        refused = await api.refused(GET, "root", scope=scope, id=identity, account=ACCOUNT)
        assert refused["extensions"]["code"] == "INVALID_INPUT"
    (found,) = (await api.ask(GET, "root", scope=scope, account=ACCOUNT)).values()
    assert [cell["decision"] for cell in found["cells"]] == ["RECORD"]


async def test_two_settings_of_the_same_cell_are_refused(api: Api) -> None:
    cells = [{"decision": "RECORD"}, {"direction": "ANY", "network": "ANY", "decision": "DO_NOT_RECORD"}]
    payload = await put(api, scope="USER", id="ada", cells=cells)
    assert payload["policy"] is None
    (error,) = payload["errors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", "cells", "1"])
    assert error["message"] == "cells.1 must be the only item with its direction and network, not 'any.any'"


async def test_a_policy_is_set_and_read_as_the_document_of_v2(api: Api) -> None:
    cells = [
        {
            "direction": "INBOUND",
            "network": "OFFNET",
            "decision": "RECORD",
            "format": "WAV",
            "recordSampleRate": "HZ_16000",
            "timeLimit": 60,
            "url": "https://x.example/",
        },
        {"decision": "DO_NOT_RECORD"},
    ]
    payload = await put(api, scope="USER", id="ada", cells=cells)
    assert (payload["errors"], payload["warnings"]) == ([], [])
    policy = payload["policy"]
    assert policy["callRecording"] == {
        "inbound": {
            "offnet": {
                "enabled": True,
                "format": "wav",
                "record_sample_rate": 16_000,
                "time_limit": 60,
                "url": "https://x.example/",
            }
        },
        "any": {"any": {"enabled": False}},
    }
    assert ("WAV", "HZ_16000") in [(cell["format"], cell["recordSampleRate"]) for cell in policy["cells"]]
    assert (policy["scope"], policy["id"], policy["accountId"], policy["fill"], policy["revision"]) == (
        "USER",
        "ada",
        ACCOUNT,
        "INHERIT",
        1,
    )
    stored = await api.installation.policy.policies.document(principal(), DocumentKind.USER, "ada")
    assert stored.body == {"call_recording": policy["callRecording"]}
    read = (await api.ask(GET, scope="USER", id="ada"))["recordingPolicy"]
    assert read["callRecording"] == policy["callRecording"]
    assert [(cell["direction"], cell["network"], cell["decision"]) for cell in read["cells"]] == [
        ("ANY", "ANY", "DO_NOT_RECORD"),
        ("INBOUND", "OFFNET", "RECORD"),
    ]


async def test_the_two_policies_of_an_account_are_in_one_document(api: Api) -> None:
    on = [{"decision": "RECORD"}]
    await put(api, scope="ACCOUNT", cells=on)
    await put(api, scope="ENDPOINT_DEFAULT", cells=on)
    stored = await api.installation.policy.policies.document(principal(), DocumentKind.ACCOUNT)
    assert stored.body["call_recording"] == {
        key: {"any": {"any": {"enabled": True}}} for key in ("account", "endpoint")
    }
    assert (await put(api, scope="ACCOUNT", cells=[]))["policy"]["callRecording"] is None
    assert (await api.ask(GET, scope="ENDPOINT_DEFAULT"))["recordingPolicy"]["cells"] != []


async def test_a_policy_of_v2_keeps_its_mode_until_a_client_changes_it(api: Api) -> None:
    body = {"call_recording": {"inbound": {"offnet": {"enabled": True}}}, "name": "x"}
    await api.installation.policy.policies.put_body(PRINCIPALS["root"], DocumentKind.USER, body, "ada")
    assert (await api.ask(GET, scope="USER", id="ada"))["recordingPolicy"]["fill"] == "COMPATIBLE"
    changed = await put(api, scope="USER", id="ada", cells=[{"direction": "INBOUND", "decision": "RECORD"}])
    assert changed["policy"]["fill"] == "COMPATIBLE"
    assert (await put(api, scope="USER", id="ada", fill="INHERIT"))["policy"]["fill"] == "INHERIT"
    stored = await api.installation.policy.policies.document(principal(), DocumentKind.USER, "ada")
    assert stored.body["name"] == "x"


async def test_a_document_that_turns_cells_off_is_a_warning(api: Api) -> None:
    await put(api, scope="ENDPOINT_DEFAULT", cells=[{"decision": "RECORD"}])
    cells = [{"direction": "INBOUND", "network": "OFFNET", "decision": "RECORD"}]
    assert (await put(api, scope="USER", id="ada", cells=cells))["warnings"] == []
    (warning,) = (await put(api, scope="USER", id="ada", fill="COMPATIBLE"))["warnings"]
    assert "turns off inbound.onnet, outbound.onnet, outbound.offnet" in warning
    explained = (await api.ask(EXPLAIN, call={"ownerId": "ada", "network": "ONNET"}))["explainRecordingPolicy"]
    assert (explained["decision"], explained["source"], explained["warnings"]) == ("DO_NOT_RECORD", "USER", [warning])
    assert explained["because"] == "the user policy of ada has inbound.onnet off"
    assert [level["decision"] for level in explained["levels"]] == ["DO_NOT_RECORD", "RECORD"]


async def test_locks_consent_and_duplicates(api: Api) -> None:
    locks = [
        {"kind": "NEVER", "direction": "INBOUND", "network": "OFFNET", "numbers": ["+4930*"], "exceptions": ["112"]},
        {"kind": "FORCE"},
    ]
    policy = (await put(api, scope="ACCOUNT", locks=locks, consent="ALL_PARTIES", duplicates="SEPARATE"))["policy"]
    assert policy["locks"] == [
        locks[0],
        {"kind": "FORCE", "direction": None, "network": None, "numbers": [], "exceptions": []},
    ]
    assert (policy["consent"], policy["duplicates"], policy["fill"]) == ("ALL_PARTIES", "SEPARATE", None)
    call = {"network": "OFFNET", "from": "+49301", "record": True}
    explained = (await api.ask(EXPLAIN, call=call))["explainRecordingPolicy"]
    assert (explained["refused"], explained["source"], explained["consent"]) == (True, "LOCK", "ALL_PARTIES")
    assert (await put(api, scope="ACCOUNT", locks=[]))["policy"]["locks"] == []


@pytest.mark.parametrize(
    ("input", "code", "path"),
    [
        ({"scope": "USER"}, "INVALID_INPUT", ["input", "id"]),
        (
            {"scope": "USER", "id": "a", "cells": [{"timeLimit": 4}]},
            "INVALID_INPUT",
            ["input", "callRecording", "any", "any", "timeLimit"],
        ),
        ({"scope": "USER", "id": "a", "locks": [{"kind": "FORCE"}]}, "INVALID_INPUT", ["input", "locks"]),
        (
            {"scope": "ACCOUNT", "locks": [{"kind": "FORCE", "numbers": ["*", "+"]}]},
            "INVALID_INPUT",
            ["input", "locks", "0", "numbers"],
        ),
        ({"scope": "ACCOUNT", "revision": 7}, "CONFLICT", ["input", "revision"]),
        ({"scope": "ACCOUNT", "accountId": SIBLING}, "NOT_FOUND", ["input", "accountId"]),
    ],
)
async def test_errors_name_the_input(api: Api, input: dict[str, Any], code: str, path: list[str]) -> None:
    (error,) = (await put(api, **input))["errors"]
    assert (error["code"], error["path"]) == (code, path), error


async def test_who_may_read_and_set_policies(api: Api) -> None:
    for caller in ("me", "reader", "ada", "uploader"):
        assert [error["code"] for error in (await put(api, caller, scope="ACCOUNT"))["errors"]] == ["FORBIDDEN"]
    assert (await put(api, scope="ACCOUNT", accountId=CHILD, cells=[{"decision": "RECORD"}]))["errors"] == []
    assert (await api.ask(GET, "child", scope="ACCOUNT"))["recordingPolicy"]["cells"] != []
    assert (await api.ask(GET, "sibling", scope="ACCOUNT", account=CHILD))["recordingPolicy"] is None
    await put(api, scope="USER", id="bob", cells=[{"decision": "RECORD", "url": "ftp://u:secret@x.example/"}])
    assert (await api.ask(GET, "ada", scope="USER", id="bob"))["recordingPolicy"] is None
    assert (await api.ask(GET, "reader", scope="USER", id="bob"))["recordingPolicy"]["cells"][0]["url"] is None
    assert (await api.ask(GET, "me", scope="USER", id="bob"))["recordingPolicy"]["cells"][0]["url"] is not None
    assert (await api.refused(GET, "no_read", scope="USER", id="bob"))["extensions"]["code"] == "FORBIDDEN"
    assert (await api.ask(GET, scope="DEVICE", id="unknown"))["recordingPolicy"] is None


async def test_the_explanation_of_a_live_call_and_its_recording(api: Api) -> None:
    made = api.installation
    await put(api, scope="USER", id="ada", cells=[{"decision": "RECORD", "url": "ftp://u:secret@x.example/"}])
    call = made.recorder.ring(
        ACCOUNT, "c1", "ada", direction=Direction.OUTBOUND, from_network=Network.ONNET, to_network=Network.OFFNET
    )
    explained = (await api.ask(EXPLAIN, call={"callId": "c1"}))["explainRecordingPolicy"]
    by_global_id = await api.ask(EXPLAIN, call={"callId": global_id("LiveCall", f"{ACCOUNT}:c1")})
    assert by_global_id["explainRecordingPolicy"] == explained
    assert (explained["direction"], explained["network"], explained["decision"]) == ("OUTBOUND", "OFFNET", "RECORD")
    (planned,) = explained["recordings"]
    assert (planned["origin"], planned["reasons"]) == ("outbound to offnet from endpoint", ["user.outbound.offnet"])
    assert planned["options"]["url"] == "ftp://u:secret@x.example/"
    hidden = (await api.ask(EXPLAIN, "reader", call={"callId": "c1"}))["explainRecordingPolicy"]["recordings"][0]
    assert hidden["options"]["url"] is None
    await made.policy.starts.on_change(CallEvent(call, CallChange.ARRIVED))
    query = f"{{ recordings(first: 1) {{ nodes {{ origin consent {{ state }} {DECISION} }} }} }}"
    (node,) = (await api.ask(query))["recordings"]["nodes"]
    assert node["origin"] == planned["origin"]
    assert node["policy"] | {"evaluatedAt": ""} == {
        "source": "USER",
        "documentId": "ada",
        "revision": 1,
        "cell": "outbound.offnet",
        "decision": "RECORD",
        "fill": "INHERIT",
        "reasons": ["user.outbound.offnet"],
        "locked": False,
        "evaluatedAt": "",
    }


async def test_a_change_can_apply_to_live_calls(api: Api) -> None:
    api.installation.recorder.ring(ACCOUNT, "c1")
    await put(api, scope="ACCOUNT", cells=[{"decision": "RECORD"}], applyNow=True)
    states = "{ recordings(first: 1) { nodes { state } } }"
    assert (await api.ask(states))["recordings"]["nodes"] == [{"state": "RECORDING"}]
    await put(api, scope="ACCOUNT", cells=[], applyNow=True)
    assert (await api.ask(states))["recordings"]["nodes"] == [{"state": "FINALIZING"}]


async def test_consent_is_answered_and_locks_are_errors_of_start_and_stop(api: Api) -> None:
    made = api.installation
    await put(api, scope="ACCOUNT", cells=[{"decision": "RECORD"}], consent="NOTICE")
    call = made.recorder.ring(ACCOUNT, "c1")
    await made.policy.starts.on_change(CallEvent(call, CallChange.ARRIVED))
    (node,) = (await api.ask("{ recordings(first: 1) { nodes { plainId state consent { need state } } } }"))[
        "recordings"
    ]["nodes"]
    assert (node["state"], node["consent"]) == ("ARMED", {"need": "NOTICE", "state": "WAITING"})
    done = (await api.ask(ANSWER, input={"id": node["plainId"], "given": False}))["answerConsent"]
    assert done["recording"] == {
        "state": "DISCARDED",
        "reason": "NO_CONSENT",
        "consent": {"state": "REFUSED", "by": "tester"},
    }
    again = (await api.ask(ANSWER, input={"id": node["plainId"], "given": True}))["answerConsent"]
    assert again["errors"] == [{"code": "NOT_RECORDING"}]
    await put(api, scope="ACCOUNT", consent="NOT_NEEDED", locks=[{"kind": "NEVER"}])
    start = 'mutation { startRecording(input: {callId: "c1"}) { errors { __typename ... on UserError { code } } } }'
    found = (await api.ask(start))["startRecording"]["errors"]
    assert found == [{"__typename": "ForbiddenByPolicyError", "code": "FORBIDDEN_BY_POLICY"}]


async def test_the_examples_in_the_guide_work(api: Api) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    documents = re.findall(r"^```graphql\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(documents) == 3
    for document in documents:
        data = await api.ask(document, "root")
        assert all(payload.get("errors", []) == [] for payload in data.values()), data
    explained = await api.ask(documents[1], "root")
    # The last example sets a lock.
    assert explained["explainRecordingPolicy"]["decision"] == "RECORD"
    (example,) = re.findall(r"^```json\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    await api.installation.policy.policies.put_body(PRINCIPALS["root"], DocumentKind.USER, json.loads(example), "bob")
    (body,) = re.findall(r"-d '(.*?)'", guide)
    await api.installation.policy.policies.patch_body(
        PRINCIPALS["root"], DocumentKind.USER, json.loads(body)["data"], "bob"
    )
