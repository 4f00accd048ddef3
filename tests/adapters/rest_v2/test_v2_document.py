"""Conversion of v2 documents."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rest_v2.gregorian import OFFSET, from_gregorian, to_gregorian
from adapters.rest_v2.recording.document_values import BadDocumentError
from adapters.rest_v2.recording.v2_document import DeletedDocumentError, from_v2, to_v2
from recordings.model.account import Account
from recordings.model.instants import EARLIEST, LATEST, from_iso
from recordings.model.recording import Direction, Media, Reason, Recording, State

ACCOUNT = Account("6b71cb72c876b5b1396a335f8f8a2594", "Acme", 0)
NOW = from_iso("2026-11-22T08:19:00.123Z")
EXAMPLE: dict[str, Any] = json.loads("""
{"_id":"202403-5f3a9c0d7b1e4c2a8d6f0e9b1a2c3d4e","_rev":"2-8c1f0e1b5a7d4f2e9b6c3a1d0f8e7c6b",
 "name":"9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d.mp3","description":"recording 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d.mp3",
 "content_type":"audio/mpeg","media_type":"mp3","media_source":"recorded","source_type":"kzc_recording",
 "from":"1001@acme.sip.example.com","to":"+14155550123@acme.sip.example.com",
 "request":"+14155550123@acme.sip.example.com",
 "direction":"inbound","start":63877497832,"duration":42,"duration_ms":42380,
 "caller_id_name":"Ada Reception","caller_id_number":"1001","callee_id_name":"","callee_id_number":"+14155550123",
 "call_id":"YjM5ZmE2@10.26.0.91","cdr_id":"202403-YjM5ZmE2@10.26.0.91","interaction_id":"63877497820-3f2a1b9c",
 "owner_id":"8e248327b85591955749e53ea45b6baa","origin":"callflow : Front desk",
 "custom_channel_vars":{"Account-ID":"6b71cb72c876b5b1396a335f8f8a2594","Authorizing-Type":"device"},
 "_attachments":{"9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d.mp3":{"content_type":"audio/mpeg","length":169536,"stub":true}},
 "pvt_type":"call_recording","pvt_account_id":"6b71cb72c876b5b1396a335f8f8a2594",
 "pvt_account_db":"account%2F6b%2F71%2Fcb72c876b5b1396a335f8f8a2594-202403",
 "pvt_created":63877497875,"pvt_modified":63877497876,"pvt_node":"kazoo_apps@app1.example.com"}
""")
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
documents = st.fixed_dictionaries(
    {
        "_id": st.from_regex(r"20[0-9]{2}(0[1-9]|1[0-2])-[0-9a-f]{32}", fullmatch=True),
        "pvt_type": st.just("call_recording"),
    },
    optional={
        "start": st.integers(OFFSET, OFFSET + 10**10),
        "duration": st.integers(0, 10**6),
        "duration_ms": st.integers(0, 10**9),
        "pvt_created": st.integers(OFFSET, OFFSET + 10**10),
        "pvt_modified": st.integers(OFFSET, OFFSET + 10**10),
        "direction": st.sampled_from(["inbound", "outbound", "sideways", ""]),
        "custom_channel_vars": st.dictionaries(text, values, max_size=3),
        "url": text,
        **dict.fromkeys(
            ("from", "to", "request", "call_id", "owner_id", "origin", "name", "media_type", "label"), text
        ),
        **dict.fromkeys(("odd", "_odd", "pvt_odd"), values),
    },
)


def public(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not name.startswith(("_", "pvt_"))}


def test_a_stored_document_of_kazoo() -> None:
    recording = from_v2(EXAMPLE, ACCOUNT, NOW)
    assert recording.id == EXAMPLE["_id"]
    assert (recording.state, recording.reason, recording.media) == (State.LOST, Reason.AUDIO_MISSING, None)
    assert recording.start == from_iso("2024-03-12T21:23:52Z") == (63_877_497_832 - OFFSET) * 1_000
    assert recording.created == from_iso("2024-03-12T21:24:35Z")
    assert recording.modified == from_iso("2024-03-12T21:24:36Z")
    assert (recording.from_, recording.to) == (EXAMPLE["from"], EXAMPLE["to"])
    assert (recording.duration_ms, recording.direction) == (42_380, Direction.INBOUND)
    assert (recording.owner_id, recording.label, recording.format) == (EXAMPLE["owner_id"], "Front desk", "mp3")
    assert (recording.caller_id_name, recording.callee_id_name) == ("Ada Reception", "")
    assert list(to_v2(recording.to_row()).items()) == [*public(EXAMPLE).items(), ("id", EXAMPLE["_id"])]


@given(document=documents)
def test_every_public_field_is_unchanged(document: dict[str, Any]) -> None:
    recording = Recording.from_row(json.loads(json.dumps(from_v2(document, ACCOUNT, NOW).to_row())))
    shown = to_v2(recording.to_row())
    assert json.dumps(shown) == json.dumps({**public(document), "id": document["_id"]})
    # v2 clients cut these at the @ without a check.
    assert "@" in recording.from_
    assert "@" in recording.to


@given(at=st.integers(EARLIEST // 1_000, LATEST // 1_000))
def test_gregorian_seconds_and_milliseconds_are_the_same_instants(at: int) -> None:
    assert from_gregorian(to_gregorian(at * 1_000)) == at * 1_000
    assert to_gregorian(at * 1_000 + 999) == to_gregorian(at * 1_000)


def test_changes_to_an_imported_recording_are_shown() -> None:
    recording = replace(from_v2(EXAMPLE, ACCOUNT, NOW), user_metadata={"case": 7})
    assert to_v2(recording.to_row()) == {**public(EXAMPLE), "id": EXAMPLE["_id"], "user_metadata": {"case": 7}}


@pytest.mark.parametrize("imported", [{"a": 1}, {}, None, ...])
@pytest.mark.parametrize("now", [{"a": 1}, {"b": 2}, {}])
def test_the_current_user_metadata_is_shown(imported: Any, now: dict[str, int]) -> None:
    given = EXAMPLE if imported is ... else EXAMPLE | {"user_metadata": imported}
    recording = replace(from_v2(given, ACCOUNT, NOW), user_metadata=now)
    shown = to_v2(recording.to_row())
    if now:
        assert shown["user_metadata"] == now
    elif imported or imported is ...:
        assert "user_metadata" not in shown
    else:
        # It was imported empty and stays empty.
        assert shown["user_metadata"] == imported
    shown.pop("user_metadata", None)
    assert shown == {**public(EXAMPLE), "id": EXAMPLE["_id"]}


def test_the_document_of_a_recording_of_this_service() -> None:
    media = Media("local:x", "audio/mpeg", 10, 2_990, 8_000, 2, "00" * 32, NOW)
    recording = Recording(
        id="202611-01a20277b70570ca83919974290716f4",
        account_id=ACCOUNT.id,
        state=State.STORED,
        start=NOW,
        created=NOW,
        modified=NOW,
        call_id="call-1",
        from_="1001@acme",
        to="1002@acme",
        duration_ms=2_990,
        media=media,
    )
    shown = to_v2(recording.to_row())
    assert shown["start"] == NOW // 1_000 + OFFSET
    assert (shown["duration"], shown["duration_ms"], shown["media_type"]) == (2, 2_990, "mp3")
    assert "owner_id" not in shown
    assert shown["content_type"] == "audio/mpeg"


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"_id": None}, "_id"),
        ({"_id": ""}, "_id"),
        ({"_id": "a/b"}, "_id"),
        ({"_id": ".."}, "_id"),
        ({"_id": "x" * 129}, "_id"),
        ({"start": "now"}, "start"),
        ({"start": True}, "start"),
        ({"start": 10**18}, "start"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"from": True}, "from"),
        ({"caller_id_name": True}, "caller_id_name"),
        ({"call_id": ["x"]}, "call_id"),
        ({"duration": -3, "duration_ms": None}, "duration must be a length"),
        ({"duration": -3}, "duration must be a length"),
        ({"duration": "5 seconds"}, "duration must be a length"),
        ({"duration": True}, "duration must be a length"),
        ({"duration_ms": "1e5"}, "duration_ms must be a length"),
        ({"start": 0}, "start must be a time in Gregorian seconds"),
        ({"start": "63877497832s"}, "start must be a time in Gregorian seconds"),
        ({"start": 1_710_278_632}, "this is Unix seconds .it would be in the year 54.; add 62167219200"),
        ({"start": "1710278632"}, "this is Unix seconds"),
        ({"start": 1_710_278_632.5}, "this is Unix seconds"),
        ({"pvt_created": 1_710_278_632}, "pvt_created .* this is Unix seconds"),
        ({"pvt_modified": 1_710_278_632}, "pvt_modified .* this is Unix seconds"),
        ({"start": 1_710_278_632_000}, "this is Unix milliseconds; divide it by 1000 and add 62167219200"),
        ({"start": 63_877_497_832_000}, "this is Gregorian milliseconds; divide it by 1000"),
        *(({name: "1" * 513}, name) for name in ("from", "to", "call_id", "owner_id", "caller_id_number")),
        ({"custom_channel_vars": [1]}, "custom_channel_vars"),
        ({"custom_channel_vars": "{}"}, "custom_channel_vars"),
        ({"x": "\0"}, "cannot be stored"),
        ({"x": {"\ud800": 1}}, "cannot be stored"),
        ({"x": [2**63]}, "64 bits"),
        ({"x": -(2**63) - 1}, "64 bits"),
        ({"x": [float("inf")]}, "number that cannot be stored"),
        ({"duration": float("-inf")}, "number that cannot be stored"),
        ({"pvt_account_id": "cd" * 16}, "belongs to the account"),
        ({"pvt_type": "user"}, "pvt_type"),
        ({"pvt_deleted": True}, "deleted"),
        ({"_deleted": True}, "deleted"),
        ({"pvt_deleted": "true"}, "deleted"),
        ({"pvt_deleted": 1}, "deleted"),
    ],
)
def test_documents_that_cannot_be_stored(others: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDocumentError, match=message):
        from_v2({**EXAMPLE, **others}, ACCOUNT, NOW)


@pytest.mark.parametrize(
    "other",
    [
        {"id": EXAMPLE["_id"], "key": EXAMPLE["_id"], "value": {"rev": EXAMPLE["_rev"]}, "doc": EXAMPLE},
        {"_id": EXAMPLE["_id"], "call_id": "x", "from": "1001@x"},
        {"_id": EXAMPLE["_id"], "media_source": "upload", "name": "greeting.mp3"},
        {"_id": EXAMPLE["_id"], "pvt_type": None, "media_source": "recorded"},
    ],
)
def test_other_objects_are_rejected(other: dict[str, Any]) -> None:
    with pytest.raises(BadDocumentError, match="pvt_type"):
        from_v2(other, ACCOUNT, NOW)


def test_a_deleted_document_is_rejected() -> None:
    with pytest.raises(BadDocumentError, match="the document is deleted"):
        from_v2({"_id": EXAMPLE["_id"], "_rev": EXAMPLE["_rev"], "_deleted": True}, ACCOUNT, NOW)


def test_a_document_from_the_api_can_be_imported() -> None:
    given_out = to_v2(from_v2(EXAMPLE, ACCOUNT, NOW).to_row())
    assert to_v2(from_v2(given_out, ACCOUNT, NOW).to_row()) == given_out


@pytest.mark.parametrize(
    ("others", "field", "value"),
    [
        ({"duration": "5", "duration_ms": None}, "duration_ms", 5_000),
        ({"duration": 5.0, "duration_ms": None}, "duration_ms", 5_000),
        ({"duration_ms": 5_000.7}, "duration_ms", 5_001),
        ({"duration_ms": " 5000 "}, "duration_ms", 5_000),
        ({"duration_ms": "", "duration": "42"}, "duration_ms", 42_000),
        ({"duration_ms": "5000.0"}, "duration_ms", 5_000),
        ({"start": 63_877_497_832.0}, "start", from_iso("2024-03-12T21:23:52Z")),
        ({"start": "63877497832"}, "start", from_iso("2024-03-12T21:23:52Z")),
        ({"start": "63877497832.5"}, "start", from_iso("2024-03-12T21:23:52.500Z")),
        ({"pvt_created": "63877497875"}, "ended", from_iso("2024-03-12T21:24:35Z")),
        ({"from": None}, "from_", "unknown@6b71cb72c876b5b1396a335f8f8a2594"),
        ({"call_id": 12_345}, "call_id", "12345"),
        ({"caller_id_number": 14_155_550_123}, "caller_id_number", "14155550123"),
        ({"caller_id_number": 14_155_550_123.0}, "caller_id_number", "14155550123"),
        ({"caller_id_name": 1.5}, "caller_id_name", "1.5"),
        ({"direction": "sideways"}, "direction", None),
        ({"direction": "Inbound"}, "direction", Direction.INBOUND),
        ({"custom_channel_vars": []}, "custom_channel_vars", {}),
        ({"user_metadata": []}, "user_metadata", {}),
        ({"media_type": "wave"}, "format", "mp3"),
        ({"pvt_deleted": "false"}, "state", State.LOST),
    ],
)
def test_values_that_other_languages_write_are_read_and_shown_unchanged(
    others: dict[str, Any], field: str, value: Any
) -> None:
    document = {**EXAMPLE, **others}
    recording = from_v2(document, ACCOUNT, NOW)
    assert getattr(recording, field) == value or field == "from_"
    assert "@" in recording.from_
    shown = to_v2(recording.to_row())
    assert json.dumps(shown) == json.dumps({**public(document), "id": document["_id"]})


def without(*names: str, **others: Any) -> dict[str, Any]:
    return {name: value for name, value in {**EXAMPLE, **others}.items() if name not in names}


PRIVATE = ("pvt_created", "pvt_modified")


@pytest.mark.parametrize(
    ("document", "start", "ended"),
    [
        (EXAMPLE, "2024-03-12T21:23:52Z", "2024-03-12T21:24:35Z"),
        (without(*PRIVATE), "2024-03-12T21:23:52Z", "2024-03-12T21:24:34.380Z"),
        (without(*PRIVATE, "duration_ms"), "2024-03-12T21:23:52Z", "2024-03-12T21:24:34Z"),
        (without(*PRIVATE, "duration_ms", "duration"), "2024-03-12T21:23:52Z", "2024-03-12T21:23:52Z"),
        (without("start"), "2024-03-12T21:23:52.620Z", "2024-03-12T21:24:35Z"),
        (without("pvt_created", "start"), "2024-03-12T21:23:53.620Z", "2024-03-12T21:24:36Z"),
        (without(*PRIVATE, "start", "duration_ms", "duration"), "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        (
            without(*PRIVATE, "start", "duration_ms", "duration", _id="0f1e2d"),
            "2026-11-22T08:19:00.123Z",
            "2026-11-22T08:19:00.123Z",
        ),
    ],
)
def test_a_document_is_dated_by_the_best_date_that_it_has(document: dict[str, Any], start: str, ended: str) -> None:
    recording = from_v2(document, ACCOUNT, NOW)
    assert (recording.start, recording.ended) == (from_iso(start), from_iso(ended))
    assert recording.created == recording.ended


def test_a_deleted_document_has_an_error_of_its_own() -> None:
    with pytest.raises(DeletedDocumentError):
        from_v2({**EXAMPLE, "pvt_deleted": "true"}, ACCOUNT, NOW)
