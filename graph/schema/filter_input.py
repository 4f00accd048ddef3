"""The `filter` argument of a list of recordings, and its translation into the domain's conditions.

A field that is left out or null adds no condition, and all given conditions must hold. So the empty filter matches
every recording. The exceptions are `equal: null` and `direction: null`: they match recordings without a value. Nothing
else limits a list: there is no default time range.
"""

from collections.abc import Iterator, Sequence
from keyword import iskeyword
from typing import Any, Final

import strawberry
from strawberry import UNSET

from graph.schema.enums import Direction, State
from graph.schema.partial_input import PartialInput
from graph.schema.scalars import DateTime
from recordings.model.errors import InvalidInput
from recordings.model.fields import FieldType, filterable
from recordings.model.query import MAX_DEPTH, And, Condition, Equal, HasMedia, In, Not, Or, Prefix, Range, check

Path = tuple[str, ...]


@strawberry.input(description="A range of times. All given bounds must hold; the empty range matches every time.")
class DateTimeRange(PartialInput):
    gte: DateTime | None = strawberry.field(default=UNSET, description="At this time or later.")
    gt: DateTime | None = strawberry.field(default=UNSET, description="Later than this time.")
    lte: DateTime | None = strawberry.field(default=UNSET, description="At this time or earlier.")
    lt: DateTime | None = strawberry.field(default=UNSET, description="Earlier than this time.")


@strawberry.input(description="A range of integers. All given bounds must hold; the empty range matches every integer.")
class IntRange(PartialInput):
    gte: int | None = strawberry.field(default=UNSET, description="Greater than or equal to this number.")
    gt: int | None = strawberry.field(default=UNSET, description="Greater than this number.")
    lte: int | None = strawberry.field(default=UNSET, description="Less than or equal to this number.")
    lt: int | None = strawberry.field(default=UNSET, description="Less than this number.")


@strawberry.input(
    description="Conditions on a text. All given conditions must hold; the empty filter matches every text. Upper and "
    "lower case are different."
)
class StringFilter(PartialInput):
    NULL_IS_A_VALUE = frozenset({"equal"})

    equal: str | None = strawberry.field(
        default=UNSET, description="Equal to this text. Null matches recordings without a value."
    )
    in_: list[str] | None = strawberry.field(
        name="in",
        default=UNSET,
        description="Equal to one of these texts, at most 100. The empty list matches nothing.",
    )
    prefix: str | None = strawberry.field(default=UNSET, description="Starts with this text.")


@strawberry.input(
    description="Conditions on a state. All given conditions must hold; the empty filter matches every state."
)
class RecordingStateFilter(PartialInput):
    equal: State | None = strawberry.field(default=UNSET, description="Equal to this state.")
    in_: list[State] | None = strawberry.field(
        name="in", default=UNSET, description="Equal to one of these states. The empty list matches nothing."
    )


def _text(description: str, name: str | None = None) -> Any:
    return strawberry.field(name=name, default=UNSET, description=description)


@strawberry.input(
    description="Conditions on recordings. All given conditions must hold, so the empty filter matches every "
    "recording. A filter has at most 64 conditions and at most 8 levels."
)
class RecordingFilter(PartialInput):
    NULL_IS_A_VALUE = frozenset({"direction"})

    and_: list["RecordingFilter"] | None = strawberry.field(
        name="and", default=UNSET, description="All of these filters match. The empty list matches everything."
    )
    or_: list["RecordingFilter"] | None = strawberry.field(
        name="or", default=UNSET, description="At least one of these filters matches. The empty list matches nothing."
    )
    not_: "RecordingFilter | None" = strawberry.field(
        name="not",
        default=UNSET,
        description="This filter does not match. A recording without a value fails every condition on that value, so "
        "it matches the opposite. An empty filter here matches nothing.",
    )
    start: DateTimeRange | None = strawberry.field(default=UNSET, description="The time at which the audio began.")
    created: DateTimeRange | None = strawberry.field(
        default=UNSET, description="The time at which the recording was requested."
    )
    ended: DateTimeRange | None = strawberry.field(
        default=UNSET, description="The time at which the call ended or the recording failed."
    )
    duration_ms: IntRange | None = strawberry.field(
        default=UNSET, description="The duration of the audio in milliseconds."
    )
    from_: StringFilter | None = _text("The caller, as `user@realm`.", "from")
    to: StringFilter | None = _text("The callee, as `user@realm`.")
    caller_id_name: StringFilter | None = _text("The caller's name.")
    caller_id_number: StringFilter | None = _text("The caller's number.")
    callee_id_name: StringFilter | None = _text("The callee's name.")
    callee_id_number: StringFilter | None = _text("The callee's number.")
    call_id: StringFilter | None = _text("The id of the recorded leg.")
    interaction_id: StringFilter | None = _text("The id of the conversation, which all of its legs have.")
    cdr_id: StringFilter | None = _text("The id of the call detail record (CDR).")
    owner_id: StringFilter | None = _text("The id of the user that the call belonged to.")
    endpoint_id: StringFilter | None = _text("The id of the device that the call used.")
    origin: StringFilter | None = _text("The way in which the recording was started.")
    label: StringFilter | None = _text("The label of the recording.")
    name: StringFilter | None = _text("The name for display and download.")
    format: StringFilter | None = _text("The format of the audio.")
    state: RecordingStateFilter | None = strawberry.field(
        default=UNSET, description="The state of the recording. To find deleted recordings, use `trashed: true`."
    )
    direction: Direction | None = strawberry.field(
        default=UNSET, description="The direction of the call. Null matches recordings without a direction."
    )
    has_media: bool | None = strawberry.field(default=UNSET, description="Whether the recording has stored audio.")


_TEXTS: Final = {f"{name}_" if iskeyword(name) else name: name for name in filterable(FieldType.TEXT)}
_RANGES: Final = filterable(FieldType.NUMBER)


def to_condition(filter: RecordingFilter | None, path: Path = ("filter",)) -> Condition:
    """Return the domain's condition for a filter. `path` is the path of the filter in the arguments.

    Raises:
        InvalidInput: a value is out of bounds; the error has the path of the value.
    """
    if filter is None:
        return And(())
    if len(path) > 2 * MAX_DEPTH:
        raise InvalidInput.of(path[:1], "maximum", "a deeper filter", f"at most {MAX_DEPTH} levels deep")
    conditions = (*_combined(filter, path), *_leaves(filter, path))
    return conditions[0] if len(conditions) == 1 else And(conditions)


def _combined(filter: RecordingFilter, path: Path) -> Iterator[Condition]:
    if filter.and_ is not None:
        yield And(_each(filter.and_, (*path, "and")))
    if filter.or_ is not None:
        yield Or(_each(filter.or_, (*path, "or")))
    if filter.not_ is not None:
        yield Not(to_condition(filter.not_, (*path, "not")))


def _each(filters: Sequence[RecordingFilter], path: Path) -> tuple[Condition, ...]:
    return tuple(to_condition(item, (*path, str(index))) for index, item in enumerate(filters))


def _leaves(filter: RecordingFilter, path: Path) -> Iterator[Condition]:
    for condition in _plain_leaves(filter):
        # Check here: the store does not know the path of the value.
        check(condition, path)
        yield condition


def _plain_leaves(filter: RecordingFilter) -> Iterator[Condition]:
    for name in _RANGES:
        yield from _range(name, getattr(filter, name))
    for name, field in _TEXTS.items():
        yield from _texts(field, getattr(filter, name))
    if filter.state is not None:
        yield from _states(filter.state)
    if filter.direction is not UNSET:
        yield Equal("direction", filter.direction and filter.direction.value)
    if filter.has_media is not None:
        yield HasMedia(filter.has_media)


def _range(field: str, bounds: DateTimeRange | IntRange | None) -> Iterator[Condition]:
    if bounds is None:
        return
    lows = [low for low in (bounds.gte, None if bounds.gt is None else bounds.gt + 1) if low is not None]
    highs = [high for high in (bounds.lt, None if bounds.lte is None else bounds.lte + 1) if high is not None]
    if lows or highs:
        yield Range(field, max(lows, default=None), min(highs, default=None))


def _texts(field: str, text: StringFilter | None) -> Iterator[Condition]:
    if text is None:
        return
    if text.equal is not UNSET:
        yield Equal(field, text.equal)
    if text.in_ is not None:
        yield In(field, tuple(text.in_))
    if text.prefix is not None:
        yield Prefix(field, text.prefix)


def _states(filter: RecordingStateFilter) -> Iterator[Condition]:
    if filter.equal is not None:
        yield Equal("state", filter.equal.value)
    if filter.in_ is not None:
        yield In("state", tuple(state.value for state in filter.in_))


def required_owner(condition: Condition) -> str | None:
    """Return the owner that every matching recording must have, or `None`. The stores have an index for an owner."""
    items = condition.items if isinstance(condition, And) else (condition,)
    owners = [item.value for item in items if isinstance(item, Equal) and item.field == "owner_id"]
    return owners[0] if owners and isinstance(owners[0], str) else None
