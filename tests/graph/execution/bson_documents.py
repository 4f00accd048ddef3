"""Random documents of MongoDB, most of them damaged, and their GraphQL responses by both ways."""

import struct
from typing import Any, Final

import bson
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from graphql import FieldNode, GraphQLObjectType, OperationDefinitionNode, parse
from hypothesis import strategies as st

from adapters.metadata.mongodb import bson_rows
from adapters.metadata.mongodb.bson_document import to_rows
from adapters.metadata.row_fields import fields_to_read
from graph.execution.collect_fields import FieldCollector
from graph.execution.response import encode
from graph.schema.projection import ROW_FIELDS_OF, SIMPLE
from recordings.model.query import OrderField
from recordings.model.recording import Direction, EndCause, Reason, State
from tests.graph.execution.differential import SCHEMA

OPTIONS: Final[CodecOptions[Any]] = CodecOptions()
TYPES: Final = SCHEMA.core.type_map
SHOWN: Final = sorted(name for name in SIMPLE if name == "__typename" or name in TYPES["Recording"].fields)  # type: ignore[attr-defined]
NAMES: Final = sorted({row for name in SHOWN for row in ROW_FIELDS_OF.get(name, ())} | {"start", "id"})
TEXTS: Final = st.one_of(st.text(max_size=20), st.text('"\\\x00\x1f\x7f\u2028a', max_size=20), st.just("é" * 9))
CHOICES: Final = st.sampled_from([each.value for kind in (State, Reason, EndCause, Direction) for each in kind])
NUMBERS: Final = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.sampled_from([-1, 0, 2**31 - 1, 2**31, 253_402_300_799_999, 253_402_300_800_000]).map(Int64),
    st.integers(0, 253_402_300_799_999).map(Int64),
    st.integers(-(2**31), 2**31 - 1),
)
OTHERS: Final = st.one_of(st.floats(), st.booleans(), st.binary(max_size=9), st.just({"a": [1]}), st.just([None, "x"]))
NUMERIC: Final = frozenset(
    {"start", "created", "changed", "ended", "duration_ms", "delete_at", "trashed_at", "purge_at", "revision"}
)
ENUMERATED: Final = frozenset({"state", "reason", "end_cause", "direction", "format"})
Shown = list[tuple[str, str]]
"""Response keys and the fields that they show."""


def value(name: str) -> st.SearchStrategy[Any]:
    """Return values of a field: nearly always of its type."""
    usual = NUMBERS if name in NUMERIC else CHOICES if name in ENUMERATED else TEXTS
    return st.integers(0, 60).flatmap(lambda dice: OTHERS if dice == 0 else st.none() if dice < 12 else usual)


@st.composite
def selections(draw: st.DrawFn) -> Shown:
    """Return what a document selects."""
    names = draw(st.lists(st.sampled_from(SHOWN), min_size=1, max_size=8, unique=True))
    return [(draw(st.sampled_from([name, f"a{at}_{name}"])), name) for at, name in enumerate(names)]


@st.composite
def stored(draw: st.DrawFn, shown: Shown) -> bytes:
    """Return a document with the selected fields, in any order, some of them missing, and sometimes with others."""
    needed = sorted({row for _, name in shown for row in ROW_FIELDS_OF.get(name, ())} | {"start", "id"})
    others = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    names = draw(st.permutations(list(dict.fromkeys([*needed, *others]))))
    missing = draw(st.sampled_from([*[None] * 20, *needed]))
    return bson.encode({("_id" if name == "id" else name): draw(value(name)) for name in names if name != missing})


@st.composite
def damaged(draw: st.DrawFn, document: bytes) -> bytes:
    """Return a document with other bytes. Half of the time its size is right nevertheless."""
    found = bytearray(document)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found) - 1))
        match draw(st.sampled_from(["set", "size", "cut", "add"])):
            case "set":
                found[at] = draw(st.integers(0, 255))
            case "size":
                found[at : at + 4] = struct.pack("<I", draw(st.sampled_from([0, 1, len(found), 2**31, 2**32 - 1])))
            case "cut" if at > 4:
                del found[at:]
            case _:
                found[at:at] = draw(st.binary(max_size=4))
    if draw(st.booleans()):
        found[:4] = struct.pack("<I", len(found))
    return bytes(found)


@st.composite
def pages(draw: st.DrawFn) -> tuple[Shown, list[bytes]]:
    """Return a selection, and the documents of a page."""
    shown = draw(selections())
    documents = st.lists(stored(shown), min_size=1, max_size=3)
    return shown, [draw(damaged(each)) if draw(st.integers(0, 2)) == 0 else each for each in draw(documents)]


def plan_of(shown: Shown) -> Any:
    """Return the plan of the recordings of a connection."""
    text = "{ recordings { nodes { " + " ".join(f"{key}: {name}" for key, name in shown) + " } } }"
    (operation,) = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    (field,) = operation.selection_set.selections
    assert isinstance(field, FieldNode)
    assert field.selection_set is not None
    connection = TYPES["RecordingConnection"]
    assert isinstance(connection, GraphQLObjectType)
    collector = FieldCollector(SCHEMA.core, {}, {})
    (nodes,) = field.selection_set.selections
    assert isinstance(nodes, FieldNode)
    plan = SCHEMA.documents.compiler.compile(collector, connection.fields["nodes"].type, [nodes])
    assert plan is not None
    return plan


def compare(page: tuple[Shown, list[bytes]]) -> None:
    """Compare the responses by both ways."""
    shown, documents = page
    plan = plan_of(shown)
    needed = frozenset(row for _, name in shown for row in ROW_FIELDS_OF.get(name, ()))
    names = fields_to_read(needed, OrderField.START)
    info = type("Info", (), {"context": None})
    rows = bson_rows.BsonRows(tuple(documents), names, OPTIONS)
    # Documents with a wrong size are not split: `test_a_damaged_reply_is_not_split`.
    expected = outcome(lambda: plan([row for each in documents for row in decode(each, names)], info))
    assert outcome(lambda: plan(rows, info)) == expected
    keys = outcome(lambda: [(row["start"], row["id"]) for each in documents for row in decode(each, ("start", "id"))])
    assert (
        outcome(lambda: bson_rows.BsonRows(tuple(documents), ("start", "id"), OPTIONS).columns("start", "id")) == keys
    )


def decode(document: bytes, names: Any) -> Any:
    found = bson.decode_all(document, OPTIONS)
    assert len(found) == 1
    return to_rows(found, names)


def outcome(produce: Any) -> bytes | None:
    """Return a result as JSON, or `None` if it is an exception."""
    try:
        return encode(produce())
    except Exception:  # noqa: BLE001 - both ways must fail, in whatever way
        return None
