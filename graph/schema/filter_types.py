"""The conditions on one value in a filter: texts, choices, times and integers. They all have the same form.

All given conditions must hold. A condition that is left out or null is absent, so the empty filter matches every
recording. `known` asks whether a recording has a value at all.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import strawberry
from strawberry import UNSET

from graph.schema.enums import DeliveryState, Direction, EndCause, Reason, State, StoredFormat
from graph.schema.partial_input import PartialInput
from graph.schema.scalars import JSON, BigInt, DateTime
from recordings.model.query import Condition, Equal, HasMetadata, In, Not, Prefix, Range


def given(description: str, name: str | None = None) -> Any:
    """Return a field of a filter: absent if it is left out or null."""
    return strawberry.field(name=name, default=UNSET, description=description)


def _known() -> Any:
    return given("Whether the recording has a value: true if it has one, false if it has none.")


class ChoiceFilter(PartialInput):
    """Conditions on a value of an enumeration. Each enumeration has a subclass with typed fields."""

    equal: Any
    in_: Any
    known: bool | None


def _choice(kind: str) -> str:
    return f"Conditions on a {kind}. All given conditions must hold. A condition that is null is absent."


@strawberry.input(description=_choice("state"))
class RecordingStateFilter(ChoiceFilter):
    equal: State | None = given("Equal to this state.")
    in_: list[State] | None = given("Equal to one of these states. The empty list matches nothing.", "in")
    known: bool | None = _known()


@strawberry.input(description=_choice("direction"))
class CallDirectionFilter(ChoiceFilter):
    equal: Direction | None = given("Equal to this direction.")
    in_: list[Direction] | None = given("Equal to one of these directions. The empty list matches nothing.", "in")
    known: bool | None = _known()


@strawberry.input(description=_choice("format"))
class RecordingFormatFilter(ChoiceFilter):
    equal: StoredFormat | None = given("Equal to this format.")
    in_: list[StoredFormat] | None = given("Equal to one of these formats. The empty list matches nothing.", "in")
    known: bool | None = _known()


@strawberry.input(description=_choice("reason"))
class RecordingReasonFilter(ChoiceFilter):
    equal: Reason | None = given("Equal to this reason.")
    in_: list[Reason] | None = given("Equal to one of these reasons. The empty list matches nothing.", "in")
    known: bool | None = _known()


@strawberry.input(description=_choice("cause"))
class RecordingEndCauseFilter(ChoiceFilter):
    equal: EndCause | None = given("Equal to this cause.")
    in_: list[EndCause] | None = given("Equal to one of these causes. The empty list matches nothing.", "in")
    known: bool | None = _known()


@strawberry.input(description=_choice("state of a delivery"))
class DeliveryStateFilter(ChoiceFilter):
    equal: DeliveryState | None = given("Equal to this state.")
    in_: list[DeliveryState] | None = given("Equal to one of these states. The empty list matches nothing.", "in")
    known: bool | None = _known()


@strawberry.input(
    description="Conditions on a text. All given conditions must hold. A condition that is null is absent. Upper and "
    "lower case are different."
)
class StringFilter(PartialInput):
    equal: str | None = given("Equal to this text.")
    in_: list[str] | None = given("Equal to one of these texts, at most 100. The empty list matches nothing.", "in")
    prefix: str | None = given("Starts with this text.")
    known: bool | None = _known()


@strawberry.input(description="A range of times. All given conditions must hold. A condition that is null is absent.")
class DateTimeRange(PartialInput):
    gte: DateTime | None = given("At this time or later.")
    gt: DateTime | None = given("Later than this time.")
    lte: DateTime | None = given("At this time or earlier.")
    lt: DateTime | None = given("Earlier than this time.")
    known: bool | None = _known()


@strawberry.input(
    description="A range of integers. All given conditions must hold. A condition that is null is absent."
)
class IntRange(PartialInput):
    gte: int | None = given("Greater than or equal to this number.")
    gt: int | None = given("Greater than this number.")
    lte: int | None = given("Less than or equal to this number.")
    lt: int | None = given("Less than this number.")
    known: bool | None = _known()


@strawberry.input(
    description="A range of integers that may need more than 32 bits. All given conditions must hold. A condition that "
    "is null is absent."
)
class BigIntRange(PartialInput):
    gte: BigInt | None = given("Greater than or equal to this number.")
    gt: BigInt | None = given("Greater than this number.")
    lte: BigInt | None = given("Less than or equal to this number.")
    lt: BigInt | None = given("Less than this number.")
    known: bool | None = _known()


@strawberry.input(
    description="A condition on one key of `userMetadata`. Without further conditions, the recording has the key."
)
class UserMetadataFilter(PartialInput):
    key: str = strawberry.field(description="The key, at the top level of the metadata. At most 512 characters.")
    equal: JSON | None = given(
        "Equal to this text, number or boolean. A text is equal to the same text only, and 1 is equal to 1.0. An "
        "object or a list is equal to no value."
    )
    known: bool | None = given("Whether the recording has the key: true if it has it, false if it does not.")


ValueFilter = ChoiceFilter | StringFilter | DateTimeRange | IntRange | BigIntRange


def conditions_on(field: str, value: ValueFilter | None) -> Iterator[Condition]:
    """Yield the domain's conditions on a field."""
    if value is None:
        return
    if isinstance(value, ChoiceFilter):
        yield from _of_choice(field, value)
    elif isinstance(value, StringFilter):
        yield from _of_text(field, value)
    else:
        yield from _of_range(field, value)
    if value.known is not None:
        unknown = Equal(field, None)
        yield Not(unknown) if value.known else unknown


def _of_choice(field: str, choice: ChoiceFilter) -> Iterator[Condition]:
    if choice.equal is not None:
        yield Equal(field, choice.equal.value)
    if choice.in_ is not None:
        yield In(field, tuple(item.value for item in choice.in_))


def _of_text(field: str, text: StringFilter) -> Iterator[Condition]:
    if text.equal is not None:
        yield Equal(field, text.equal)
    if text.in_ is not None:
        yield In(field, tuple(text.in_))
    if text.prefix is not None:
        yield Prefix(field, text.prefix)


def _of_range(field: str, bounds: DateTimeRange | IntRange | BigIntRange) -> Iterator[Condition]:
    lows = [low for low in (bounds.gte, None if bounds.gt is None else bounds.gt + 1) if low is not None]
    highs = [high for high in (bounds.lt, None if bounds.lte is None else bounds.lte + 1) if high is not None]
    if lows or highs:
        yield Range(field, max(lows, default=None), min(highs, default=None))


def conditions_on_metadata(filters: Iterable[UserMetadataFilter]) -> Iterator[Condition]:
    """Yield the domain's conditions on keys of the metadata."""
    for each in filters:
        if each.equal is not None:
            yield HasMetadata(each.key, cast("Any", each.equal))
        if each.known is not None or each.equal is None:
            present = HasMetadata(each.key)
            yield Not(present) if each.known is False else present
