"""The splitter of JSON streams, compared with `json.loads`."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.archive import json_splitter
from adapters.archive.json_splitter import LONG_TEXT, PLACEHOLDER, Fault, Found, JsonSplitter, Note, Piece

text = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
documents = st.lists(
    # CouchDB writes the id first. An object with an array of such a name first is not a document.
    st.tuples(text, st.dictionaries(st.sampled_from(["rows", "docs", "data", "odd"]), values, max_size=3)).map(
        lambda parts: {"_id": parts[0], **parts[1]}
    ),
    max_size=5,
)
LINES = ["lines", "commas", "pretty"]
formats = st.sampled_from([*LINES, "array", "array on lines", "rows", "docs", "data", "pretty rows"])
TOKENS = [b"{", b"}", b"[", b"]", b'"', b"\n", b",", b":", b"\\", b'"rows"', b"x"]


def written(documents: list[Any], form: str) -> bytes:
    texts = [json.dumps(document) for document in documents]
    joined = ",\r\n".join(texts)
    wrapped = {"total_rows": len(documents), "offset": 0, "rows": documents, "update_seq": "9-x"}
    return {
        "lines": "\n".join(texts),
        "commas": joined,
        "pretty": "\n".join(json.dumps(document, indent=2) for document in documents),
        "array": json.dumps(documents),
        "array on lines": f"[\n{joined},\n]\n",
        "rows": f'{{"total_rows":2,"offset":0,"rows":[\r\n{joined}\r\n]}}\n',
        "docs": f'{{"new_edits":false,"docs":[\n{joined}\n]}}',
        "data": json.dumps({"page_size": 1, "data": documents, "status": "success", "tokens": {"a": [1]}}),
        "pretty rows": json.dumps(wrapped, indent=4),
    }[form].encode()


def split(data: bytes, *sizes: int) -> list[Found]:
    """Feed data in chunks of these sizes, repeated."""
    splitter, at, number = JsonSplitter(io.BytesIO), 0, 0
    found: list[Found] = []
    while at < len(data):
        size = sizes[number % len(sizes)] if sizes else len(data)
        found += splitter.feed(data[at : at + size])
        at, number = at + size, number + 1
    return found + list(splitter.finish())


def loaded(found: list[Found]) -> list[Any]:
    return [json.loads(piece.text) for piece in found if isinstance(piece, Piece)]


@given(documents, formats, st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_documents_in_every_form_are_found(documents: list[Any], form: str, sizes: list[int]) -> None:
    found = split(written(documents, form), *sizes)
    assert [piece for piece in found if not isinstance(piece, Piece)] == []
    assert json.dumps(loaded(found)) == json.dumps(documents)


@given(documents, formats, st.integers(0, 400), st.lists(st.integers(1, 40), min_size=1, max_size=3))
def test_a_cut_stream_is_reported(documents: list[Any], form: str, cut: int, sizes: list[int]) -> None:
    whole = written(documents, form)
    found = split(whole[:cut], *sizes)
    assert loaded(found) == documents[: len(loaded(found))]
    is_cut = len(loaded(found)) < len(documents) and whole[:cut].strip(b"\r\n, [")
    if is_cut and form not in LINES:
        assert any(isinstance(piece, Fault) for piece in found)


@given(st.binary(max_size=300), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_any_bytes_end(data: bytes, sizes: list[int]) -> None:
    for found in split(data, *sizes):
        assert 1 <= found.line <= data.count(b"\n") + 1


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
def test_any_order_of_tokens_ends_in_the_same_way_for_every_chunk_size(tokens: list[bytes]) -> None:
    data = b"".join(tokens)
    assert split(data, 1) == split(data) == split(data, 3, 2)


def test_lines_are_numbered_and_broken_ones_do_not_affect_the_others() -> None:
    data = b"\n".join(
        [
            b'{"_id": "1"}',
            b"{not json",
            b'{"_id": "3", "a": {"b": [1, 2',
            b'{"_id": "4"}',
            b"",
            b'{"_id": "6", "note": "no end',
            b"not json at all, really",
            b'{"_id": "8"}}',
            b'{"_id": "9",',
            b'  "a": [',
            b"    1",
            b"  ]",
            b"}",
            b"\xff\xfe",
            b'{"_id": "15"}',
        ]
    )
    found = split(data, 7)
    assert [piece.line for piece in found if isinstance(piece, Piece)] == [1, 4, 8, 9, 15]
    assert [fault.line for fault in found if isinstance(fault, Fault)] == [2, 3, 6, 8, 14]


def test_a_broken_row_does_not_affect_the_other_rows() -> None:
    data = b'{"rows":[\n{"_id":"1"},\n{"_id":"2" "x"]},\n{"_id":"3"}\n]}\n{"_id":"4"}\n'
    found = split(data, 5)
    assert [(piece.line, type(piece)) for piece in found] == [(2, Piece), (3, Fault), (4, Piece), (6, Piece)]


def test_a_broken_array_does_not_affect_the_next_lines() -> None:
    data = (
        b'[{"_id":"1"},{"_id":"2"}]\n[{"_id":"3"},{"_id":\n[{"_id":"5"}]\n{"docs":[{"_id":}]}\n{"docs":[{"_id":"6"}]}\n'
    )
    found = split(data, 5)
    assert [each.line for each in found if isinstance(each, Fault)] == [2]
    assert [json.loads(each.text)["_id"] for each in found if isinstance(each, Piece) and each.line != 4] == [
        "1",
        "2",
        "3",
        "5",
        "6",
    ]


def test_a_long_text_is_moved_to_a_file() -> None:
    long = "A" * (3 * LONG_TEXT) + "\\/" + "B" * LONG_TEXT
    data = b'{"_id":"1","a":{"data":"' + long.encode() + b'"},"b":"\\u0000"}\n{"_id":"2"}'
    for size in (1_000, 65_536):
        first, second = split(data, size)
        assert isinstance(first, Piece)
        assert isinstance(second, Piece)
        assert len(first.text) < 1_000
        assert json.loads(first.text)["a"]["data"] == f"{PLACEHOLDER}0"
        (file,) = first.long_texts
        file.seek(0)
        assert file.read().decode() == long
        assert second.line == 2


def test_a_document_that_is_too_long_is_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_splitter, "MAX_DOCUMENT", 1_000)
    monkeypatch.setattr(json_splitter, "LONG_TEXT", 500)
    long = json.dumps({"_id": "1", "many": [f"{number}\n{{" for number in range(1_000)]})
    pretty = json.dumps({"_id": "1", "many": list(range(1_000))}, indent=1)
    for text, line in ((long, 2), (pretty, pretty.count("\n") + 2)):
        found = split(text.encode() + b'\n{"_id": "2"}\n', 100)
        assert [(type(each), each.line) for each in found] == [(Fault, 1), (Piece, line)]


def test_deep_brackets_are_one_fault() -> None:
    found = split(b"[" * 100_000 + b'\n{"_id": "2"}\n', 4_096)
    assert [type(each) for each in found] == [Fault, Piece]
    assert loaded(found) == [{"_id": "2"}]


def test_a_page_of_a_list_is_noted() -> None:
    found = split(b'{"next_start_key":"x",\n"data":[{"id":"1"}]}')
    assert [type(each) for each in found] == [Note, Piece]


@settings(max_examples=20)
@given(st.integers(1, 64))
def test_a_stray_end_is_reported(size: int) -> None:
    found = split(b'{"_id":"1"},\n{"_id":"2"}\n]}\n', size)
    assert [type(each) for each in found] == [Piece, Piece, Fault, Fault]
