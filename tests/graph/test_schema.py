"""The schema: its text, its descriptions, its naming rules and its size."""

import ast
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

from graph.schema import enums
from graph.schema.build import DESCRIPTION, schema, sdl
from graph.schema.camel_case import parameter_description
from graph.schema.error_types import TYPES, InvalidInputError, UserError
from graph.schema.filter_input import RecordingFilter
from graph.schema.mutation_inputs import StartRecordingInput
from graph.schema.node_types import Recording
from graph.schema.projection import ROW_FIELDS_OF
from graph.schema.row_resolver import row_field
from recordings.model.errors import (
    Busy,
    InvalidCursor,
    MediaUnavailable,
    QueryTooBroad,
    Refused,
    TooManyQueries,
    Unauthenticated,
)
from recordings.model.events import Annotated, Masked, Paused, Restored, Resumed, Stopped, Trashed, Unmasked
from recordings.model.options import PARAMETERS, RecordingOptions
from recordings.model.query import NUMBER_FIELDS, TEXT_FIELDS
from recordings.model.recording import ROW_FIELDS
from recordings.rules.lifecycle import TABLE

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "schema.graphql"
CORE = build_schema(sdl())
OWN_TYPES = {
    name: kind
    for name, kind in CORE.type_map.items()
    if not name.startswith("__") and not is_specified_scalar_type(kind)
}
FEDERATION = {"_Any", "_Entity", "_Service", "_entities", "_service"}
"""Apollo Federation sets these names."""
FIELDS_OF = (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType)


def described() -> Iterator[tuple[str, str | None]]:
    """Yield everything that a client can name, with its description."""
    for name, kind in OWN_TYPES.items():
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


def test_the_schema_has_a_description() -> None:
    assert CORE.description == DESCRIPTION
    result = schema.execute_sync("{ __schema { description } }")
    assert result.data == {"__schema": {"description": DESCRIPTION}}


def test_only_one_module_takes_enumerations_from_the_domain() -> None:
    """A module that annotates a field with an undescribed enumeration would depend on the order of imports."""
    for path in (ROOT / "graph" / "schema").glob("*.py"):
        found = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module != "graph.schema.enums"
            for alias in node.names
        }
        assert path.stem == "enums" or not found & set(enums.__all__), path


def test_every_type_field_argument_and_value_has_a_description() -> None:
    names = list(described())
    assert len(names) > 250
    assert [name for name, text in names if not text or not text.strip().endswith((".", "!"))] == []


def test_names_follow_the_conventions() -> None:
    for name, kind in OWN_TYPES.items():
        assert name in FEDERATION or re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)
        if isinstance(kind, GraphQLEnumType):
            assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", value) for value in kind.values)
        if isinstance(kind, FIELDS_OF):
            assert all(field in FEDERATION or re.fullmatch(r"[a-z][A-Za-z0-9]*", field) for field in kind.fields)


def test_the_schema_stays_small() -> None:
    assert len(OWN_TYPES) <= 233


def test_every_scalar_has_the_url_of_its_specification() -> None:
    for kind in OWN_TYPES.values():
        if isinstance(kind, GraphQLScalarType):
            assert kind.specified_by_url


OF_ACCOUNTS = {f"[{name}Error!]!" for name in ("SetRecordingPolicy", "DeliverySecret", "Webhook", "ManageAccount")}
"""The types of the errors of mutations that change no recording."""


def test_a_mutation_has_one_input_and_a_payload_with_typed_errors() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    for name, field in mutation.fields.items():
        upper = name[0].upper() + name[1:]
        assert [(argument, str(item.type)) for argument, item in field.args.items()] == [("input", f"{upper}Input!")]
        assert str(field.type) == f"{upper}Payload!"
        if str(OWN_TYPES[f"{upper}Payload"].fields["errors"].type) in OF_ACCOUNTS:  # type: ignore[attr-defined]
            # They change no recording. To set a policy or to clear a secret twice changes nothing.
            continue
        payload: Any = OWN_TYPES[f"{upper}Payload"]
        result = {"results": f"[{upper[:-1]}Payload!]!"} if name.endswith("s") else {"recording": "Recording"}
        assert set(payload.fields) == {*result, "errors"}
        assert {key: str(payload.fields[key].type) for key in result} == result
        assert re.fullmatch(r"\[\w+RecordingError!\]!", str(payload.fields["errors"].type))
        input_type: Any = OWN_TYPES[f"{upper}Input"]
        assert "idempotencyKey" in input_type.fields


def test_every_error_implements_user_error() -> None:
    unions = [kind for name, kind in OWN_TYPES.items() if isinstance(kind, GraphQLUnionType) and name != "_Entity"]
    for union in unions:
        assert all([face.name for face in member.interfaces] == ["UserError"] for member in union.types)


def test_every_refusal_of_a_use_case_has_an_error_type() -> None:
    without_type = {
        InvalidCursor,  # a mutation has no cursor; in a query it is a top-level error
        MediaUnavailable,  # a mutation neither plays audio nor draws waveforms
        QueryTooBroad,  # a mutation returns no list
        TooManyQueries,  # the same
        Busy,  # only conversions of audio raise it
        Unauthenticated,  # the HTTP response has status 401, and nothing is executed
    }
    assert set(refusals()) - without_type == {*TYPES, *InvalidCursor.__bases__}
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
        ("updateRecording", Annotated),
    ],
)
def test_a_mutation_declares_every_refusal_of_the_state_table(mutation: str, event: type) -> None:
    refused = {outcome for (_, kind), outcome in TABLE.items() if kind is event and isinstance(outcome, type)}
    declared: Any = OWN_TYPES[f"{mutation[0].upper()}{mutation[1:]}Payload"]
    union = declared.fields["errors"].type.of_type.of_type.of_type
    assert {TYPES[kind].__name__ for kind in refused} <= {member.name for member in union.types}


def test_start_recording_has_every_option_with_its_description_and_default() -> None:
    start_input: Any = OWN_TYPES["StartRecordingInput"]
    for item in fields(RecordingOptions):
        name = re.sub(r"_(\w)", lambda found: found[1].upper(), item.name)
        field = start_input.fields[name]
        assert field.description == parameter_description(item.name)
        default = getattr(StartRecordingInput(call_id="x"), item.name)  # type: ignore[arg-type]
        assert getattr(default, "value", default) == PARAMETERS[item.name].default
    assert not {"origin", "skipModule", "action"} & set(start_input.fields)


def test_an_option_with_a_fixed_set_of_values_is_an_enumeration_of_them() -> None:
    found: dict[str, Any] = {}
    for item in get_object_definition(StartRecordingInput, strict=True).fields:
        kind = getattr(getattr(item.type, "of_type", item.type), "wrapped_cls", None)
        found |= {item.python_name: [value.value for value in kind]} if kind is not None else {}
    assert found == {name: list(PARAMETERS[name].choices) for name in ("format", "method", "record_sample_rate")}


def test_no_description_lists_the_values_of_a_field() -> None:
    assert [name for name, text in described() if "One of" in (text or "")] == []


def test_the_projection_knows_the_row_fields_of_every_field() -> None:
    assert set().union(*ROW_FIELDS_OF.values()) <= {*ROW_FIELDS, "changed"}
    for field in get_object_definition(Recording, strict=True).fields:
        name = schema.config.name_converter.get_graphql_name(field)
        assert ROW_FIELDS_OF[name]
        if field.base_resolver is None:
            assert ROW_FIELDS_OF[name] == {row_field(field.python_name)}


def test_every_comparable_field_of_the_domain_has_a_filter() -> None:
    names = {field.name.rstrip("_") for field in fields(RecordingFilter)}
    own = {"and", "or", "not", "has_media", "held", "modified", "user_metadata"}
    assert names == {*TEXT_FIELDS, *NUMBER_FIELDS, *own} - {"changed"}


def test_the_schema_is_valid() -> None:
    result = schema.execute_sync("{ __schema { types { name } } }")
    assert result.errors is None
    assert isinstance(CORE.get_type("Recording"), GraphQLNamedType)
