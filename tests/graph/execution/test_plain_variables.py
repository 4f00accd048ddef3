"""The short way of variables and arguments gives the values of graphql-core."""

from typing import Any

import pytest
from graphql import FieldNode, OperationDefinitionNode, build_schema, get_argument_values, get_variable_values, parse
from hypothesis import given
from hypothesis import strategies as st

from graph.execution.plain_variables import plain_signatures, plain_values, plain_variables

SCHEMA = build_schema("type Query { f(a: ID, b: String, c: Int = 5, d: [ID!], e: Float): Int }")
VALUES = st.text(max_size=2) | st.integers(-(2**31) - 1, 2**31) | st.booleans() | st.none() | st.floats(width=16)
TYPES = st.sampled_from(["ID", "ID!", "String", "String!", "Int", "Int!", "Int = 3", "Float", "[ID!]"])


def operation(text: str) -> OperationDefinitionNode:
    (found,) = parse(text).definitions
    assert isinstance(found, OperationDefinitionNode)
    return found


@given(
    st.dictionaries(st.sampled_from("xyz"), TYPES, min_size=1),
    st.dictionaries(st.sampled_from("xyzw"), VALUES),
)
def test_plain_values_are_those_of_graphql_core(types: dict[str, str], values: dict[str, Any]) -> None:
    definitions = " ".join(f"${name}: {kind}" for name, kind in types.items())
    parsed = operation(f"query ({definitions}) {{ f }}")
    signatures = plain_signatures(SCHEMA, parsed)
    assert (signatures is None) == any(kind in {"Float", "[ID!]"} for kind in types.values())
    found = None if signatures is None else plain_values(signatures, values)
    if found is not None:
        expected = get_variable_values(SCHEMA, parsed.variable_definitions or (), values)
        assert not isinstance(expected, list)
        assert found.coerced == expected.coerced
        assert {name: source.value for name, source in found.sources.items()} == {
            name: source.value for name, source in expected.sources.items()
        }


def test_texts_and_integers_are_plain() -> None:
    signatures = plain_signatures(SCHEMA, operation("query ($a: ID!, $b: String, $c: Int = 3) { f }"))
    assert signatures is not None
    found = plain_values(signatures, {"a": "x", "b": "", "c": 2**31 - 1, "other": None})
    assert found is not None
    assert found.coerced == {"a": "x", "b": "", "c": 2**31 - 1}
    for values in ({"a": "x", "b": ""}, {"a": 1, "b": "", "c": 1}, {"a": "x", "b": None, "c": 1}):
        assert plain_values(signatures, values) is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("(a: $a, c: $c)", {"a": "a", "c": "c"}),
        ("(c: $c, b: $b)", {"c": "c", "b": "b"}),
        ("(d: $d)", None),
        ("(d: [$a])", None),
        ("(e: $e, a: $a)", None),
        ("", {}),
    ],
)
def test_arguments_that_are_plain_variables(arguments: str, expected: dict[str, str] | None) -> None:
    parsed = operation(f"query ($a: ID, $b: String, $c: Int, $d: [ID!], $e: Float) {{ f{arguments} }}")
    (node,) = parsed.selection_set.selections
    assert isinstance(node, FieldNode)
    assert SCHEMA.query_type is not None
    field = SCHEMA.query_type.fields["f"]
    assert plain_variables(field, node) == expected
    if expected is not None:
        values = {"a": "x", "b": "y", "c": 7}
        variables = get_variable_values(SCHEMA, parsed.variable_definitions or (), values)
        assert not isinstance(variables, list)
        given = get_argument_values(field, node, variables)
        assert {name: values[variable] for name, variable in expected.items()}.items() <= given.items()
