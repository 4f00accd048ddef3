"""The `filter` argument of a list of recordings, and its translation into the domain's conditions.

A field that is left out or null adds no condition, and all given conditions must hold. So the empty filter matches
every recording. Nothing else limits a list: there is no default time range.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import strawberry
from strawberry import UNSET

from graph.schema.filter_types import (
    BigIntRange,
    CallDirectionFilter,
    DateTimeRange,
    DeliveryStateFilter,
    IntRange,
    RecordingEndCauseFilter,
    RecordingFormatFilter,
    RecordingReasonFilter,
    RecordingStateFilter,
    StringFilter,
    UserMetadataFilter,
    conditions_on,
    conditions_on_metadata,
    given,
)
from graph.schema.partial_input import PartialInput
from recordings.model.errors import InvalidInput
from recordings.model.fields import PARTS, FieldType, filterable
from recordings.model.query import MAX_LEVELS, And, Condition, Equal, HasMedia, Held, Not, Or, check

Path = tuple[str, ...]


@strawberry.input(
    description="Conditions on recordings. All given conditions must hold. A condition that is null is absent, so the "
    "empty filter matches every recording. A filter has at most 64 conditions and at most 8 levels."
)
class RecordingFilter(PartialInput):
    and_: list["RecordingFilter"] | None = given(
        "All of these filters match. The empty list matches everything.", "and"
    )
    or_: list["RecordingFilter"] | None = given(
        "At least one of these filters matches. The empty list matches nothing.", "or"
    )
    not_: "RecordingFilter | None" = strawberry.field(
        name="not",
        default=UNSET,
        description="This filter does not match. A recording without a value fails every condition on that value, so "
        "it matches the opposite. An empty filter here matches nothing.",
    )
    start: DateTimeRange | None = given("The time at which the audio began.")
    created: DateTimeRange | None = given("The time at which the recording was requested.")
    ended: DateTimeRange | None = given("The time at which the call ended or the recording failed.")
    modified: DateTimeRange | None = given("The time of the last change.")
    duration_ms: IntRange | None = given("The duration of the audio in milliseconds.")
    from_: StringFilter | None = given("The caller, as `user@realm`.", "from")
    to: StringFilter | None = given("The callee, as `user@realm`.")
    caller_id_name: StringFilter | None = given("The caller's name.")
    caller_id_number: StringFilter | None = given("The caller's number.")
    callee_id_name: StringFilter | None = given("The callee's name.")
    callee_id_number: StringFilter | None = given("The callee's number.")
    call_id: StringFilter | None = given("The id of the recorded leg.")
    interaction_id: StringFilter | None = given("The id of the conversation, which all of its legs have.")
    cdr_id: StringFilter | None = given("The id of the call detail record (CDR).")
    owner_id: StringFilter | None = given("The id of the user that the call belonged to.")
    endpoint_id: StringFilter | None = given("The id of the device that the call used.")
    origin: StringFilter | None = given("The way in which the recording was started.")
    label: StringFilter | None = given("The label of the recording.")
    name: StringFilter | None = given("The name for display and download.")
    format: RecordingFormatFilter | None = given("The format of the audio.")
    state: RecordingStateFilter | None = given(
        "The state of the recording. To find deleted recordings, use `trashed: true`."
    )
    direction: CallDirectionFilter | None = given("The direction of the call.")
    reason: RecordingReasonFilter | None = given("The reason why the recording was discarded, failed or was lost.")
    end_cause: RecordingEndCauseFilter | None = given("The event that ended the audio.")
    delivery_state: DeliveryStateFilter | None = given(
        "The state of the delivery to the recording's `url`. A recording without a delivery has no value."
    )
    media_length: BigIntRange | None = given("The size of the stored audio in bytes.")
    has_media: bool | None = given("Whether the recording has stored audio.")
    held: bool | None = given("Whether the recording has a legal hold.")
    user_metadata: list[UserMetadataFilter] | None = given(
        "Conditions on keys of `userMetadata`. All must hold, and the empty list matches everything."
    )


_ATTRIBUTES: Final = {"from": "from_", "changed": "modified"}
_FIELDS: Final = {
    _ATTRIBUTES.get(name, name): name
    for name in (*filterable(FieldType.NUMBER, FieldType.TEXT, FieldType.CHOICE), *PARTS)
}
"""The fields of `RecordingFilter` with conditions on one value, and their names in a row."""


def to_condition(filter: RecordingFilter | None, path: Path = ("filter",), level: int = 1) -> Condition:
    """Return the domain's condition for a filter. `path` is the path of the filter in the arguments.

    `level` is 1 for a filter that is not inside another one.

    Raises:
        InvalidInput: a value is out of bounds; the error has the path of the value.
    """
    if filter is None:
        return And(())
    if level > MAX_LEVELS:
        raise InvalidInput.of(path[:1], "maximum", "a deeper filter", f"at most {MAX_LEVELS} levels deep")
    conditions = (*_combined(filter, path, level + 1), *_leaves(filter, path))
    return conditions[0] if len(conditions) == 1 else And(conditions)


def _combined(filter: RecordingFilter, path: Path, level: int) -> Iterator[Condition]:
    if filter.and_ is not None:
        yield And(_each(filter.and_, (*path, "and"), level))
    if filter.or_ is not None:
        yield Or(_each(filter.or_, (*path, "or"), level))
    if filter.not_ is not None:
        yield Not(to_condition(filter.not_, (*path, "not"), level))


def _each(filters: Sequence[RecordingFilter], path: Path, level: int) -> tuple[Condition, ...]:
    return tuple(to_condition(item, (*path, str(index)), level) for index, item in enumerate(filters))


def _leaves(filter: RecordingFilter, path: Path) -> Iterator[Condition]:
    for condition in _plain_leaves(filter):
        # Check here: the store does not know the path of the value.
        check(condition, path)
        yield condition


def _plain_leaves(filter: RecordingFilter) -> Iterator[Condition]:
    for name, field in _FIELDS.items():
        yield from conditions_on(field, getattr(filter, name))
    if filter.has_media is not None:
        yield HasMedia(filter.has_media)
    if filter.held is not None:
        yield Held(filter.held)
    yield from conditions_on_metadata(filter.user_metadata or ())


def required_owner(condition: Condition) -> str | None:
    """Return the owner that every matching recording must have, or `None`. The stores have an index for an owner."""
    items = condition.items if isinstance(condition, And) else (condition,)
    owners = [item.value for item in items if isinstance(item, Equal) and item.field == "owner_id"]
    return owners[0] if owners and isinstance(owners[0], str) else None
