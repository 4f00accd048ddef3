"""Queries: the meaning and the limits of conditions, the sort order, and cursors."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.errors import InvalidCursor, InvalidInput
from recordings.model.ids import MAX_ID
from recordings.model.instants import EARLIEST, LATEST
from recordings.model.query import (
    EVERYTHING,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_TEXT,
    MAX_VALUES,
    And,
    Condition,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    Order,
    OrderField,
    Position,
    Prefix,
    Range,
    check,
    is_storable,
    matches,
    prefix_end,
    sort_key,
)
from recordings.rules.cursor import Cursors

ROW: dict[str, Any] = {
    "label": "Front desk",
    "owner_id": None,
    "duration_ms": 1_000,
    "start": 5,
    "media": None,
    "hold": {"by": "ada", "at": 1, "reason": "case 7"},
    "delivery": {"id": "d", "state": "FAILED"},
    "user_metadata": {"n": 1, "f": 1.5, "t": "1", "b": True, "none": None, "deep": {"n": 1}, "list": [1]},
    "id": "a",
}

MEANINGS: list[tuple[Condition, bool]] = [
    (EVERYTHING, True), (Or(()), False), (Equal("label", "Front desk"), True), (Equal("label", "front desk"), False),
    (Equal("owner_id", None), True), (Equal("owner_id", "u"), False), (Not(Equal("owner_id", "u")), True),
    (In("label", ("a", "Front desk")), True), (In("owner_id", ()), False), (Prefix("label", "Front"), True),
    (Prefix("label", ""), True), (Prefix("owner_id", ""), False), (Not(Prefix("owner_id", "")), True),
    (Range("duration_ms", 1_000), True), (Range("duration_ms", None, 1_000), False), (Range("duration_ms"), True),
    (HasMedia(), False), (HasMedia(present=False), True),
    (Held(), True), (Held(present=False), False), (Equal("delivery_state", "FAILED"), True),
    (In("delivery_state", ("PENDING",)), False), (Equal("media_length", None), True), (Range("media_length", 0), False),
    (And((Range("start", 5, 6), Not(HasMedia()))), True), (And((EVERYTHING, Or(()))), False),
    (HasMetadata("n"), True), (HasMetadata("deep"), True), (HasMetadata("none"), False), (HasMetadata("x"), False),
    (HasMetadata("n", 1), True), (HasMetadata("n", 1.0), True), (HasMetadata("f", 1.5), True),
    (HasMetadata("n", "1"), False), (HasMetadata("n", True), False), (HasMetadata("t", "1"), True),
    (HasMetadata("t", 1), False), (HasMetadata("b", True), True), (HasMetadata("b", 1), False),
    (HasMetadata("b", False), False), (HasMetadata("x", False), False), (HasMetadata("list", 1), False),
    (HasMetadata("deep.n", 1), False), (Not(HasMetadata("x", "1")), True),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "meant"), MEANINGS)
def test_conditions_match_as_expected(condition: Condition, meant: bool) -> None:
    assert matches(check(condition), ROW) is meant


def nested(depth: int) -> Condition:
    return Not(nested(depth - 1)) if depth > 1 else EVERYTHING


REFUSED: list[Condition] = [
    nested(MAX_DEPTH + 1), And((EVERYTHING,) * MAX_CONDITIONS), Equal("pvt_secret", "x"), Equal("label", 3),
    Equal("start", "x"), Range("label", 1, 2), In("label", ("a",) * 101), Equal("label", "a\0"),
    Prefix("label", "\ud800"), Prefix("start", "1"), Range("start", True), Range("start", 2**63),
    Equal("label", "x" * 513), Or((EVERYTHING,) * MAX_CONDITIONS), Or((EVERYTHING, Equal("pvt_secret", "x"))),
    Not(Equal("pvt_secret", "x")), Equal("start", LATEST + 2), Range("start", EARLIEST - 1),
    HasMetadata("x" * 513), HasMetadata("\0"), HasMetadata("a", "\ud800"), HasMetadata("a", 2**54),
    HasMetadata("a", float("nan")), HasMetadata("a", [1]),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize("condition", REFUSED, ids=repr)
def test_an_invalid_condition_is_refused(condition: Condition) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(condition)
    assert refused.value.path[0] == "filter"


def test_conditions_at_their_limits_are_accepted() -> None:
    check(nested(MAX_DEPTH))
    check(And((EVERYTHING,) * (MAX_CONDITIONS - 1)))
    check(In("label", tuple(str(number) for number in range(MAX_VALUES))))
    check(Equal("label", "x" * MAX_TEXT))
    # The end of a range is exclusive, so a range with the last instant ends one millisecond later.
    check(Range("start", EARLIEST, LATEST + 1))


def test_surrogates_and_nul_cannot_be_stored() -> None:
    assert [text for text in ("", "\ud7ff", "\ud800", "\udfff", "\ue000", "\0", "\1") if not is_storable(text)] == [
        "\ud800",
        "\udfff",
        "\0",
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(TEXT, TEXT)
def test_a_prefix_is_a_range(prefix: str, text: str) -> None:
    end = prefix_end(prefix)
    in_range = text.encode() >= prefix.encode() and (end is None or text.encode() < end.encode())
    assert in_range == text.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("", None),
        ("\U0010ffff", None),
        ("a\U0010ffff", "b"),
        ("\ud7ff", "\ue000"),
        ("a\ud7ff", "a\ue000"),
        ("az", "a{"),
    ],
)
def test_the_end_of_a_prefix_is_the_next_text(prefix: str, end: str | None) -> None:
    assert prefix_end(prefix) == end


def test_a_missing_text_has_no_prefix_and_a_missing_number_is_match_no_range() -> None:
    for value, is_match in ((None, False), ("b", False), ("ab", True)):
        assert matches(Prefix("label", "a"), {"label": value}) is is_match
    for length, is_match in ((None, False), (4, False), (5, True), (6, True), (7, False)):
        assert matches(Range("duration_ms", 5, 7), {"duration_ms": length}) is is_match
    assert not matches(Range("duration_ms"), {"duration_ms": None})


def test_rows_without_the_sort_key_are_first() -> None:
    order = Order(OrderField.DURATION)
    rows = [
        {"duration_ms": value, "id": identity} for value, identity in [(5, "a"), (None, "z"), (0, "b"), (None, "y")]
    ]
    assert [row["id"] for row in sorted(rows, key=lambda row: sort_key(order, row))] == ["y", "z", "b", "a"]


CURSORS = Cursors(b"k" * 32)
POSITIONS = st.builds(Position, st.none() | st.integers(-(2**53), 2**53) | TEXT, TEXT)


@given(st.sampled_from(OrderField), POSITIONS)
def test_a_cursor_returns_its_position(field: OrderField, position: Position) -> None:
    text = CURSORS.encode(Order(field), position)
    assert text.isascii()
    assert CURSORS.read(Order(field, descending=False), text, ("after",)) == position


@pytest.mark.parametrize("character", ["\x01", '"', "\u4e2d", "\U0001f600"])
def test_the_longest_cursor_returns_its_position(character: str) -> None:
    position = Position(character * MAX_TEXT, character * MAX_ID)
    order = Order(OrderField.CALLER)
    assert CURSORS.read(order, CURSORS.encode(order, position), ("after",)) == position


@given(POSITIONS, st.integers(0, 200), st.integers(0, 7))
def test_a_changed_cursor_is_refused(position: Position, byte: int, bit: int) -> None:
    text = CURSORS.encode(Order(), position)
    raw = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[byte % len(raw)] ^= 1 << bit
    with pytest.raises(InvalidCursor):
        CURSORS.read(Order(), urlsafe_b64encode(raw).decode().rstrip("="), ("after",))


@given(st.text(max_size=40))
def test_a_random_text_is_not_a_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor) as refused:
        CURSORS.read(Order(), text, ("after",))
    assert refused.value.path == ("after",)


def test_a_cursor_of_another_order_or_installation_is_refused() -> None:
    text = CURSORS.encode(Order(OrderField.START), Position(1, "a"))
    with pytest.raises(InvalidCursor, match="a page ordered by DURATION"):
        CURSORS.read(Order(OrderField.DURATION), text, ("before",))
    with pytest.raises(InvalidCursor, match="that this service returned"):
        Cursors(b"other").read(Order(), text, ("before",))
