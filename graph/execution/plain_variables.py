"""Variables whose values are used as they are: texts and integers of GraphQL's own scalars.

graphql-core and Strawberry take 27 µs to convert one variable and to pass it to an argument.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    VariableNode,
    get_nullable_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource

_CLASSES: Final[Mapping[GraphQLScalarType, type]] = {GraphQLID: str, GraphQLString: str, GraphQLInt: int}
_INTS: Final = range(-(2**31), 2**31)

Signatures = Mapping[str, tuple[GraphQLVariableSignature, type]]


def plain_signatures(schema: GraphQLSchema, operation: OperationDefinitionNode) -> Signatures | None:
    """Return the signatures of an operation's variables; `None` if one of them has another type."""
    found = {}
    for definition in operation.variable_definitions or ():
        signature = get_variable_signature(schema, definition)
        kind = None if isinstance(signature, GraphQLError) else _class_of(signature.type)
        if isinstance(signature, GraphQLError) or kind is None:
            return None
        found[signature.name] = signature, kind
    return found


def plain_values(signatures: Signatures, values: Mapping[str, Any]) -> VariableValues | None:
    """Return the variables with these values, as graphql-core does; `None` if a value is missing or needs a check."""
    sources = {}
    coerced = {}
    for name, (signature, kind) in signatures.items():
        value = values.get(name)
        if not _is_plain(value, kind):
            return None
        sources[name] = VariableValueSource(signature, value)
        coerced[name] = value
    return VariableValues(sources, coerced)


def plain_variables(field: GraphQLField, node: FieldNode) -> Mapping[str, str] | None:
    """Return the variables of these arguments, by argument; `None` if an argument is no such variable."""
    found = {}
    for argument in node.arguments or ():
        name, value = argument.name.value, argument.value
        if name in field.args:
            if not isinstance(value, VariableNode) or _class_of(field.args[name].type) is None:
                return None
            found[name] = value.name.value
    return found


def _is_plain(value: Any, kind: type) -> bool:
    return type(value) is kind and (kind is str or value in _INTS)


def _class_of(kind: Any) -> type | None:
    bare = get_nullable_type(kind)
    return _CLASSES.get(bare) if isinstance(bare, GraphQLScalarType) else None
