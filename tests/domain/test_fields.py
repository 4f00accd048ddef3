"""The table of fields: it agrees with `Recording`, with the row type and with the enumeration of sort fields."""

from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from recordings.model.fields import FIELDS, Field, FieldType, RecordingRow, filterable
from recordings.model.query import Order, OrderField
from recordings.model.recording import ROW_FIELDS, Recording
from recordings.rules.cursor import Cursors
from tests.contract.metadata.samples import full

ROW_TYPES = get_type_hints(RecordingRow)
VALUE_TYPES: dict[FieldType, tuple[type, ...]] = {
    FieldType.TEXT: (str,),
    FieldType.CHOICE: (str,),
    FieldType.NUMBER: (int,),
    FieldType.OBJECT: (dict, list),
    FieldType.FREE_FORM: (dict,),
}


def test_the_table_has_every_field_of_a_row() -> None:
    assert set(FIELDS) == {*ROW_FIELDS, "changed"} == set(ROW_TYPES)


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_the_type_of_a_field_is_that_of_its_values(field: Field) -> None:
    row: Any = full().to_row() | {"changed": 1}
    assert row[field.name] is None or isinstance(row[field.name], VALUE_TYPES[field.type])
    assert (NoneType in get_args(ROW_TYPES[field.name])) is field.nullable


def test_nullable_fields_are_optional_in_a_recording() -> None:
    hints = get_type_hints(Recording)
    optional = {item.name.rstrip("_") for item in fields(Recording) if NoneType in get_args(hints[item.name])}
    assert {field.name for field in FIELDS.values() if field.nullable} == optional | {"active_call"}


def test_sort_fields_are_the_sortable_ones_and_each_has_a_cursor() -> None:
    assert {order.value for order in OrderField} == {field.name for field in FIELDS.values() if field.sortable}
    rows: list[Any] = [full().to_row() | {"changed": 1}]
    for order in OrderField:
        assert Cursors(b"k").write_page(Order(order), rows)


def test_only_texts_choices_and_numbers_can_be_filtered() -> None:
    assert filterable(FieldType.OBJECT, FieldType.FREE_FORM) == ()
    assert {"label", "interaction_id"} <= set(filterable(FieldType.TEXT))
    assert set(filterable(FieldType.CHOICE)) == {"state", "reason", "end_cause", "direction"}
