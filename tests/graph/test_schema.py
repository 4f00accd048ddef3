"""The schema itself: printed as it is, described to the last value, named by rule, and small."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    is_specified_scalar_type,
)
from strawberry.types import get_object_definition

from graph.schema import schema, sdl
from graph.schema.camel_case import parameter
from graph.schema.error_types import TYPES, InvalidInputError, UserError
from graph.schema.filter_input import RecordingFilter
from graph.schema.mutation_inputs import StartRecordingInput
from graph.schema.projection import NEEDS
from graph.schema.recording_type import COMPUTED, Recording
from recordings.model.errors import Busy, InvalidCursor, MediaUnavailable, Refused, Unauthenticated
from recordings.model.events import Masked, Paused, Restored, Resumed, Stopped, Trashed, Unmasked
from recordings.model.options import PARAMETERS, RecordingOptions
from recordings.model.query import NUMBER_FIELDS, TEXT_FIELDS
from recordings.model.recording import ROW_FIELDS
from recordings.rules.lifecycle import TABLE

COMMITTED = Path(__file__).parents[2] / "schema.graphql"
CORE = build_schema(sdl())
TYPES_OF_OURS = {
    name: kind
    for name, kind in CORE.type_map.items()
    if not name.startswith("__") and not is_specified_scalar_type(kind)
}
FIELDS_OF = (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType)


def described() -> Iterator[tuple[str, str | None]]:
    """Everything that a client can name, with its description."""
    for name, kind in TYPES_OF_OURS.items():
        yield name, kind.description
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{name}.{value}", item.description) for value, item in kind.values.items())
        if isinstance(kind, FIELDS_OF):
            yield from fields_of(kind)


def fields_of(kind: Any) -> Iterator[tuple[str, str | None]]:
    for name, item in kind.fields.items():
        yield f"{kind.name}.{name}", item.description
        for argument, value in getattr(item, "args", {}).items():
            yield f"{kind.name}.{name}({argument})", value.description


def refusals(kind: type[Refused] = Refused) -> Iterator[type[Refused]]:
    for item in kind.__subclasses__():
        yield item
        yield from refusals(item)


def test_the_committed_schema_is_the_one_that_is_served() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == sdl()


def test_everything_is_described() -> None:
    names = list(described())
    assert len(names) > 250
    assert [name for name, text in names if not text or not text.strip().endswith((".", "!"))] == []


def test_names_follow_the_conventions() -> None:
    for name, kind in TYPES_OF_OURS.items():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)
        if isinstance(kind, GraphQLEnumType):
            assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", value) for value in kind.values)
        if isinstance(kind, FIELDS_OF):
            assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", field) for field in kind.fields)


def test_the_schema_stays_small() -> None:
    assert len(TYPES_OF_OURS) <= 90


def test_every_scalar_says_where_it_is_specified() -> None:
    for kind in TYPES_OF_OURS.values():
        if isinstance(kind, GraphQLScalarType):
            assert kind.specified_by_url


def test_a_mutation_takes_one_input_and_gives_a_payload_with_typed_errors() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    for name, field in mutation.fields.items():
        upper = name[0].upper() + name[1:]
        assert [(argument, str(item.type)) for argument, item in field.args.items()] == [("input", f"{upper}Input!")]
        assert str(field.type) == f"{upper}Payload!"
        payload: Any = TYPES_OF_OURS[f"{upper}Payload"]
        assert set(payload.fields) == {"recording", "errors"}
        assert re.fullmatch(r"\[\w+RecordingError!\]!", str(payload.fields["errors"].type))
        taken: Any = TYPES_OF_OURS[f"{upper}Input"]
        assert "idempotencyKey" in taken.fields


def test_every_member_of_an_error_union_says_code_message_and_path() -> None:
    unions = [kind for kind in TYPES_OF_OURS.values() if isinstance(kind, GraphQLUnionType)]
    for union in unions:
        assert all([face.name for face in member.interfaces] == ["UserError"] for member in union.types)


def test_every_refusal_of_a_use_case_has_its_type() -> None:
    elsewhere = {
        InvalidCursor,  # mutations take no cursor: it is a top-level error of a query
        MediaUnavailable,  # mutations play and draw nothing
        Busy,  # the same
        Unauthenticated,  # answered with the status 401, before anything is executed
    }
    assert set(refusals()) - elsewhere == {*TYPES, *InvalidCursor.__bases__}
    names = [kind.__name__ for kind in (*TYPES.values(), InvalidInputError)]
    assert names == [f"{kind.__name__}Error" for kind in TYPES] + ["InvalidInputError"]
    assert all(issubclass(kind, UserError) for kind in TYPES.values())


@pytest.mark.parametrize(
    ("mutation", "event"),
    [
        ("stopRecording", Stopped),
        ("pauseRecording", Paused),
        ("resumeRecording", Resumed),
        ("maskRecording", Masked),
        ("unmaskRecording", Unmasked),
        ("deleteRecording", Trashed),
        ("restoreRecording", Restored),
    ],
)
def test_a_mutation_can_answer_whatever_the_state_table_refuses(mutation: str, event: type) -> None:
    refused = {outcome for (_, kind), outcome in TABLE.items() if kind is event and isinstance(outcome, type)}
    declared: Any = TYPES_OF_OURS[f"{mutation[0].upper()}{mutation[1:]}Payload"]
    union = declared.fields["errors"].type.of_type.of_type.of_type
    assert {TYPES[kind].__name__ for kind in refused} <= {member.name for member in union.types}


def test_the_documented_parameters_are_taken_with_their_words_and_defaults() -> None:
    taken: Any = TYPES_OF_OURS["StartRecordingInput"]
    for item in fields(RecordingOptions):
        name = re.sub(r"_(\w)", lambda found: found[1].upper(), item.name)
        field = taken.fields[name]
        assert field.description == parameter(item.name)
        default = getattr(StartRecordingInput(call_id="x"), item.name)  # type: ignore[arg-type]
        assert default == PARAMETERS[item.name].default
    assert not {"origin", "skipModule", "action"} & set(taken.fields)


def test_every_basic_field_is_a_field_of_the_row() -> None:
    assert set().union(*NEEDS.values()) <= set(ROW_FIELDS)
    computed = {
        field.python_name for field in get_object_definition(Recording, strict=True).fields if field.base_resolver
    }
    assert computed == set(COMPUTED)


def test_whatever_the_domain_can_compare_can_be_filtered() -> None:
    names = {field.name.rstrip("_") for field in fields(RecordingFilter)}
    assert names == {*TEXT_FIELDS, *NUMBER_FIELDS, "and", "or", "not", "has_media"} - {"reason"}


def test_the_schema_is_valid() -> None:
    result = schema.execute_sync("{ __schema { types { name } } }")
    assert result.errors is None
    assert isinstance(CORE.get_type("Recording"), GraphQLNamedType)
