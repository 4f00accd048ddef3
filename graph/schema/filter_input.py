"""The filter of a listing, and what it means in the domain's query vocabulary.

Whatever is left out, or null, asks for nothing, and all that is given must hold; so the empty filter takes every
recording. The one exception is where null is a value: `equal: null` and `direction: null` ask for recordings that have
none. Nothing else narrows a listing: there is no hidden window of time.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import strawberry
from strawberry import UNSET

from graph.schema.scalars import DateTime
from graph.schema.unset import Given
from recordings.model.errors import InvalidInput
from recordings.model.query import MAX_DEPTH, And, Condition, Equal, HasMedia, In, Not, Or, Prefix, Range, check
from recordings.model.recording import Direction, State

Path = tuple[str, ...]


@strawberry.input(description="A range of instants; an end that is left out is open. The empty one takes any instant.")
class DateTimeRange(Given):
    gte: DateTime | None = strawberry.field(default=UNSET, description="At this instant or later.")
    gt: DateTime | None = strawberry.field(default=UNSET, description="Later than this instant.")
    lte: DateTime | None = strawberry.field(default=UNSET, description="At this instant or earlier.")
    lt: DateTime | None = strawberry.field(default=UNSET, description="Earlier than this instant.")


@strawberry.input(description="A range of integers; an end that is left out is open. The empty one takes anything.")
class IntRange(Given):
    gte: int | None = strawberry.field(default=UNSET, description="This or more.")
    gt: int | None = strawberry.field(default=UNSET, description="More than this.")
    lte: int | None = strawberry.field(default=UNSET, description="This or less.")
    lt: int | None = strawberry.field(default=UNSET, description="Less than this.")


@strawberry.input(description="What a text must be. All that is given must hold; the empty one takes anything.")
class StringFilter(Given):
    NULL_IS_A_VALUE = frozenset({"equal"})

    equal: str | None = strawberry.field(
        default=UNSET, description="Exactly this text, case included. Null asks for what has none."
    )
    in_: list[str] | None = strawberry.field(
        name="in", default=UNSET, description="One of these texts, at most 100. The empty list takes nothing."
    )
    prefix: str | None = strawberry.field(default=UNSET, description="A text that begins with this one, case included.")


@strawberry.input(description="What a state must be. All that is given must hold; the empty one takes any state.")
class RecordingStateFilter(Given):
    equal: State | None = strawberry.field(default=UNSET, description="Exactly this state.")
    in_: list[State] | None = strawberry.field(
        name="in", default=UNSET, description="One of these states. The empty list takes nothing."
    )


def _text(description: str, name: str | None = None) -> Any:
    return strawberry.field(name=name, default=UNSET, description=description)


@strawberry.input(
    description="Which recordings to take. All that is given must hold, so the empty filter takes every recording. At "
    "most 64 conditions, 8 levels deep."
)
class RecordingFilter(Given):
    NULL_IS_A_VALUE = frozenset({"direction"})

    and_: list["RecordingFilter"] | None = strawberry.field(
        name="and", default=UNSET, description="All of these hold. The empty list takes everything."
    )
    or_: list["RecordingFilter"] | None = strawberry.field(
        name="or", default=UNSET, description="At least one of these holds. The empty list takes nothing."
    )
    not_: "RecordingFilter | None" = strawberry.field(
        name="not",
        default=UNSET,
        description="This does not hold. A recording that lacks a value does not meet a condition on it, so it meets "
        "the opposite. The empty filter in here takes nothing.",
    )
    start: DateTimeRange | None = strawberry.field(default=UNSET, description="When the audio began.")
    created: DateTimeRange | None = strawberry.field(default=UNSET, description="When it was asked for.")
    ended: DateTimeRange | None = strawberry.field(default=UNSET, description="When its call was over, or it failed.")
    duration_ms: IntRange | None = strawberry.field(
        default=UNSET, description="The length of the audio in milliseconds."
    )
    from_: StringFilter | None = _text("Who called, as `user@realm`.", "from")
    to: StringFilter | None = _text("Who was called, as `user@realm`.")
    caller_id_name: StringFilter | None = _text("The caller's name.")
    caller_id_number: StringFilter | None = _text("The caller's number.")
    callee_id_name: StringFilter | None = _text("The callee's name.")
    callee_id_number: StringFilter | None = _text("The callee's number.")
    call_id: StringFilter | None = _text("The id of the leg of the call.")
    interaction_id: StringFilter | None = _text("What the legs of one conversation share.")
    cdr_id: StringFilter | None = _text("The id of the call's detail record.")
    owner_id: StringFilter | None = _text("The user whose call it was.")
    endpoint_id: StringFilter | None = _text("The device that the call went through.")
    origin: StringFilter | None = _text("How the recording was started.")
    label: StringFilter | None = _text("The label of the recording.")
    name: StringFilter | None = _text("The recording's name for display and download.")
    format: StringFilter | None = _text("The format of the audio.")
    state: RecordingStateFilter | None = strawberry.field(
        default=UNSET, description="Where it is in its life. Deleted recordings are found with `trashed` alone."
    )
    direction: Direction | None = strawberry.field(
        default=UNSET, description="Which way the call went. Null asks for recordings that do not know it."
    )
    has_media: bool | None = strawberry.field(default=UNSET, description="Whether there is stored audio.")


_TEXTS: Final = {
    name: name.rstrip("_")
    for name in (
        "from_", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id",
        "interaction_id", "cdr_id", "owner_id", "endpoint_id", "origin", "label", "name", "format",
    )
}  # fmt: skip
_RANGES: Final = ("start", "created", "ended", "duration_ms")


def to_condition(given: RecordingFilter | None, path: Path = ("filter",)) -> Condition:
    """What a filter means.

    Raises:
        InvalidInput: a value in it is out of bounds; the path leads to it.
    """
    if given is None:
        return And(())
    if len(path) > 2 * MAX_DEPTH:
        raise InvalidInput.of(path[:1], "maximum", "a deeper one", f"at most {MAX_DEPTH} levels deep")
    conditions = (*_combined(given, path), *_leaves(given, path))
    return conditions[0] if len(conditions) == 1 else And(conditions)


def _combined(given: RecordingFilter, path: Path) -> Iterator[Condition]:
    if given.and_ is not None:
        yield And(_each(given.and_, (*path, "and")))
    if given.or_ is not None:
        yield Or(_each(given.or_, (*path, "or")))
    if given.not_ is not None:
        yield Not(to_condition(given.not_, (*path, "not")))


def _each(given: Sequence[RecordingFilter], path: Path) -> tuple[Condition, ...]:
    return tuple(to_condition(item, (*path, str(index))) for index, item in enumerate(given))


def _leaves(given: RecordingFilter, path: Path) -> Iterator[Condition]:
    for condition in _plain_leaves(given):
        # Checked here, where the path to it is known.
        check(condition, path)
        yield condition


def _plain_leaves(given: RecordingFilter) -> Iterator[Condition]:
    for name in _RANGES:
        yield from _range(name, getattr(given, name))
    for name, field in _TEXTS.items():
        yield from _texts(field, getattr(given, name))
    if given.state is not None:
        yield from _states(given.state)
    if given.direction is not UNSET:
        yield Equal("direction", given.direction and given.direction.value)
    if given.has_media is not None:
        yield HasMedia(given.has_media)


def _range(field: str, given: DateTimeRange | IntRange | None) -> Iterator[Condition]:
    if given is None:
        return
    lows = [bound for bound in (given.gte, None if given.gt is None else given.gt + 1) if bound is not None]
    highs = [bound for bound in (given.lt, None if given.lte is None else given.lte + 1) if bound is not None]
    if lows or highs:
        yield Range(field, max(lows, default=None), min(highs, default=None))


def _texts(field: str, given: StringFilter | None) -> Iterator[Condition]:
    if given is None:
        return
    if given.equal is not UNSET:
        yield Equal(field, given.equal)
    if given.in_ is not None:
        yield In(field, tuple(given.in_))
    if given.prefix is not None:
        yield Prefix(field, given.prefix)


def _states(given: RecordingStateFilter) -> Iterator[Condition]:
    if given.equal is not None:
        yield Equal("state", given.equal.value)
    if given.in_ is not None:
        yield In("state", tuple(state.value for state in given.in_))


def wanted_owner(condition: Condition) -> str | None:
    """The one owner that a condition asks for, if it does: a store has indexes for an owner's recordings."""
    items = condition.items if isinstance(condition, And) else (condition,)
    owners = [item.value for item in items if isinstance(item, Equal) and item.field == "owner_id"]
    return owners[0] if owners and isinstance(owners[0], str) else None
