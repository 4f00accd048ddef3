"""The fast items of a list have the JSON of the documents."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.rest_v2.recording.json_item import json_items
from adapters.rest_v2.recording.visibility import ITEM_FIELDS, list_item
from adapters.rest_v2.request.envelope import to_json
from recordings.model.account import DEFAULT_SCOPES, Principal, Scope
from recordings.model.fields import FIELDS, FieldType, RecordingRow
from recordings.model.instants import EARLIEST, LATEST

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(["", "mp3", "wav"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(text | st.sampled_from(["Media-Recording-ID", "url", "from", "pvt_x"]), values, max_size=4)
special: dict[str, st.SearchStrategy[Any]] = {
    "state": st.just("STORED"),
    "direction": st.sampled_from([None, "inbound", "outbound"]),
    "start": st.integers(EARLIEST, LATEST),
    "ended": st.integers(EARLIEST, LATEST),
    "duration_ms": st.none() | st.integers(0, 2**40),
    "options": st.fixed_dictionaries(
        {"url": st.none() | text, "record_sample_rate": st.none() | st.integers(1, 10**6), "method": st.just("put")}
    ),
    "media": st.none() | st.fixed_dictionaries({"content_type": text, "url": text}),
    "user_metadata": objects,
    "custom_channel_vars": objects,
    "imported": st.none() | objects,
}
rows = st.fixed_dictionaries(
    special
    | {
        name: st.none() | text if FIELDS[name].nullable else text
        for name in ITEM_FIELDS - set(special)
        if FIELDS[name].type is FieldType.TEXT
    }
)
readers = st.sampled_from([DEFAULT_SCOPES, frozenset(DEFAULT_SCOPES) | {Scope.CONTROL}, frozenset({Scope.READ})]).map(
    lambda scopes: Principal("a" * 32, frozenset(scopes))
)


@given(row=rows, reader=readers)
def test_an_item_has_the_bytes_of_its_document(row: RecordingRow, reader: Principal) -> None:
    assert row.keys() == ITEM_FIELDS
    assert to_json(json_items(reader)(row)) == to_json(list_item(row, reader))
