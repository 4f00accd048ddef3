"""The filters against a simple model, without a server (`docs/v2_contract.md`, section 1.6)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.rest_v2.listing.list_filters import MAX_FILTERS, accepted_texts, as_text, look_up, read_filters
from adapters.rest_v2.recording.v2_document import from_v2
from adapters.rest_v2.recording.visibility import filter_document
from adapters.rest_v2.request.v2_errors import V2Error
from recordings.model.account import DEFAULT_SCOPES, Account, Principal
from recordings.model.query import check, matches
from recordings.model.recording import Recording
from tests.contract.metadata.samples import recording
from tests.rest_v2 import filter_model as model

READER = Principal("a" * 32, frozenset(DEFAULT_SCOPES))
DOCUMENT: dict[str, Any] = {
    "id": "202403-a",
    "duration": 42,
    "zero": 0,
    "yes": True,
    "no": False,
    "half": 0.5,
    "nothing": None,
    "empty": "",
    "undefined": "undefined",
    "from": "1001@x",
    "list": ["a", {"deep": "b"}, 3],
    "none": [],
    "custom_channel_vars": {"Account-ID": "x", "n": {"m": 1}, "e": {}},
    "pvt_created": 100,
    "pvt_modified": 200,
}


def kept(*query: tuple[str, str]) -> bool:
    found = read_filters(query).matches(DOCUMENT)
    assert found == model.matches(DOCUMENT, list(query))
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # filter_{KEY}=V, filter_not_{KEY}=V: a missing key passes the second
        ([("filter_from", "1001@x")], True),
        ([("filter_from", "1001@X")], False),
        ([("filter_from", "1001")], False),
        ([("filter_not_from", "1001@x")], False),
        ([("filter_not_from", "x")], True),
        ([("filter_not_gone", "x")], True),
        # has_key, key_missing, has_value, value_missing and the documented missing_value
        ([("has_key", "from")], True),
        ([("has_key", "gone")], False),
        ([("has_key", "empty")], True),
        ([("key_missing", "from")], False),
        ([("key_missing", "gone")], True),
        ([("has_value", "from")], True),
        ([("has_value", "gone")], False),
        ([("value_missing", "gone")], True),
        ([("value_missing", "empty")], True),
        ([("missing_value", "empty")], True),
        ([("missing_value", "from")], False),
        # time
        ([("created_from", "101"), ("has_key", "id")], False),
        ([("created_from", "100"), ("has_key", "id")], True),
        ([("created_to", "99"), ("has_key", "id")], False),
        ([("modified_from", "201")], False),
        ([("modified_from", "200")], True),
        ([("modified_to", "199")], False),
        ([("modified_to", "200")], True),
        # paths
        ([("filter_custom_channel_vars.Account-ID", "x")], True),
        ([("filter_custom_channel_vars.n.m", "1")], True),
        ([("filter_list.1", "a")], True),
        ([("filter_list.2.deep", "b")], True),
        ([("filter_list.0", "")], True),
        ([("filter_list.4", "")], True),
        ([("filter_list.x", "")], True),
        # the value as text
        ([("filter_duration", "42")], True),
        ([("filter_yes", "true")], True),
        ([("filter_no", "false")], True),
        ([("filter_half", "0.5")], True),
        ([("filter_list", "")], True),
        ([("filter_custom_channel_vars", "")], True),
        ([("filter_gone", "")], True),
        # V as JSON
        ([("filter_duration", '["42"]')], True),
        ([("filter_duration", "[42]")], False),
        ([("filter_duration", '"42"')], True),
        ([("filter_from", '["x", "1001@x"]')], True),
        ([("filter_not_from", '["x", "1001@x"]')], False),
        ([("filter_from", "{}")], False),
        # AND, repeated
        ([("filter_from", "1001@x"), ("filter_duration", "42")], True),
        ([("filter_from", "1001@x"), ("filter_duration", "43")], False),
        ([("filter_from", "1001@x"), ("filter_from", "1002@x")], False),
        ([("has_key", "from"), ("has_key", "duration")], True),
        ([("has_key", "from"), ("has_key", "gone")], False),
        # a filter that cannot be applied excludes the document, also if it is negated
        ([("created_from", "x"), ("has_key", "id")], False),
        ([("created_from", "x")], True),
        ([("modified_from", "x")], False),
        ([("filter_not_duration.x", "1")], False),
        ([("key_missing", "from.x")], False),
        # empty
        *[([("has_value", name)], False) for name in ("zero", "empty", "none", "nothing", "undefined")],
        ([("has_value", "custom_channel_vars.e")], False),
        *[([("has_value", name)], True) for name in ("no", "yes", "half", "list")],
        # unknown parameters
        ([("filtre_from", "x"), ("sort", "y"), ("page_size", "3")], True),
    ],
)
def test_the_examples_of_every_filter(query: list[tuple[str, str]], expected: bool) -> None:
    assert kept(*query) is expected


names = st.sampled_from(
    [*DOCUMENT, "list.1", "list.2.deep", "list.9", "from.x", "custom_channel_vars.n.m", "gone", "gone.x", "", "."]
)
values = st.one_of(
    st.sampled_from(["42", "", "true", "null", '["42"]', '"a"', "[42]", "1001@x", "x", "undefined", "{", "100"]),
    st.text(max_size=5),
)
prefixed = st.tuples(st.sampled_from(["filter_", "filter_not_"]), names, values).map(
    lambda parts: (parts[0] + parts[1], parts[2])
)
keyed = st.tuples(st.sampled_from(["has_key", "key_missing", "has_value", "value_missing", "missing_value"]), names)
timed = st.tuples(
    st.sampled_from(["created_from", "created_to", "modified_from", "modified_to"]), st.sampled_from(["50", "150", "x"])
)


@settings(max_examples=400)
@given(st.lists(st.one_of(prefixed, keyed, timed), max_size=4))
def test_any_query_matches_the_model(query: list[tuple[str, str]]) -> None:
    kept(*query)


texts = st.sampled_from(
    ["", "0", "7", "a", "ä", "1001", "inbound", '"a"', '["a", "1001"]', '["1", "7"]', "[]", "x" * 600, "null", "9" * 15]
)
fields = st.sampled_from(
    [
        "caller_id_number",
        "callee_id_name",
        "call_id",
        "owner_id",
        "origin",
        "duration_ms",
        "direction",
        "name",
        "from",
        "id",
    ]
)
made_here = st.builds(
    lambda caller, owner, duration: recording(
        caller_id_number=caller, owner_id=owner, duration_ms=duration, call_id="a", origin="a"
    ),
    st.sampled_from([None, "", "a", "1001"]),
    st.sampled_from([None, "a", "7"]),
    st.sampled_from([None, 0, 7]),
)
shown_texts = st.dictionaries(
    st.sampled_from(["caller_id_number", "callee_id_name", "call_id", "owner_id", "origin", "direction"]),
    st.sampled_from([None, "", "a", "1001"]),
)
shown_lengths = st.dictionaries(st.just("duration_ms"), st.sampled_from([None, 0, 7]))
taken_in = st.builds(
    # With audio. Its length differs from the document's.
    lambda texts, lengths, measured: replace(
        from_v2(
            {"_id": "1", "pvt_type": "call_recording", **texts, **lengths},
            Account("ab" * 16, "Acme", 0),
            0,
        ),
        duration_ms=measured,
    ),
    shown_texts,
    shown_lengths,
    st.sampled_from([None, 0, 1]),
)


@settings(max_examples=600)
@given(
    st.lists(st.tuples(fields, texts).map(lambda pair: (f"filter_{pair[0]}", pair[1])), min_size=1, max_size=2),
    st.one_of(made_here, taken_in),
)
def test_a_store_condition_never_excludes_a_match(query: list[tuple[str, str]], made: Recording) -> None:
    row = made.to_row()
    filters = read_filters(query)
    for condition in filters.conditions:
        check(condition)
        assert matches(condition, row) or not filters.matches(filter_document(row, READER))
    if filters.ids is not None:
        assert row["id"] in filters.ids or not filters.matches(filter_document(row, READER))


@pytest.mark.parametrize(
    ("name", "value"), [("filter_owner_id", "null"), ("filter_origin", '["null"]'), ("filter_duration_ms", "7")]
)
def test_filters_use_the_imported_document_and_not_the_stored_fields(name: str, value: str) -> None:
    document = {"_id": "1", "pvt_type": "call_recording", "owner_id": None, "origin": None, "duration_ms": 7}
    row = replace(from_v2(document, Account("ab" * 16, "Acme", 0), 0), duration_ms=1).to_row()
    filters = read_filters([(name, value)])
    assert filters.matches(filter_document(row, READER))
    assert all(matches(condition, row) for condition in filters.conditions)


def test_the_number_of_filters_is_limited() -> None:
    assert len(read_filters([("has_key", "x")] * MAX_FILTERS).checks) == MAX_FILTERS
    with pytest.raises(V2Error):
        read_filters([("has_key", "x")] * (MAX_FILTERS + 1))


def test_deeply_nested_json_counts_as_text() -> None:
    assert accepted_texts("[" * 100_000) == {"[" * 100_000}


def test_look_up_returns_the_value_at_a_path() -> None:
    assert look_up({"a": [None]}, ["a", "1"]) is None
    assert as_text(None) == "null"
