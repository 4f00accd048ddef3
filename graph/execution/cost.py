"""The cost of an operation: the number of fields in its largest possible response.

- A field costs 1, or its weight.
- The cost below a list is multiplied by the length of the list: the value of `first` or `last`, the number of `ids`, or
  10 if the field has none of these arguments. If a field that is not a list has such an argument, as a connection does,
  it gives the length of the lists directly below it.
- `@skip` and `@include` are ignored: every field counts.
- Introspection returns the schema, and its size is fixed. So the lists of an introspection are not multiplied, and each
  of its fields costs the same.

`graph.execution.ast_limits` collects the fields of an operation in `FieldLevel`s while it checks the limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLField,
    ListValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

INTROSPECTION: Final = frozenset({"__schema", "__type"})
"""The fields that return the schema. Depth is not counted below them."""
_SIZE_ARGUMENTS: Final = frozenset({"first", "last", "ids"})
_DEFAULT_LENGTH: Final = 10
_DEFAULT_PAGE: Final = 100
"""The length of a list if the value of its variable is missing or is not a number."""
_DIGITS: Final = 10
_LARGEST: Final = 10**_DIGITS
"""The value of every number with more digits. An `Int` never has more."""
_INTROSPECTION_COST: Final = 20
"""The cost of a field in an introspection. The usual introspection query has about 230 fields, within the limit."""

Size = int | str
"""The length of a list, or the name of the variable that gives it."""


@dataclass(slots=True)
class Cost:
    """A cost that may depend on variables: `fixed`, plus for each (variable, cost) the cost times the variable."""

    fixed: int = 0
    scaled: list[tuple[str, "Cost"]] = field(default_factory=list)

    def add(self, other: "Cost", size: Size = 1) -> None:
        """Add another cost, multiplied by a size."""
        if isinstance(size, str):
            self.scaled.append((size, other))
            return
        self.fixed += other.fixed * size
        for name, item in other.scaled:
            repeated = Cost()
            repeated.add(item, size)
            self.scaled.append((name, repeated))

    def of(self, variables: Mapping[str, Any]) -> int:
        """Return the cost for these values of the variables. The values are not validated yet."""
        return self.fixed + sum(item.of(variables) * _length(variables.get(name)) for name, item in self.scaled)


def _length(value: Any) -> int:
    if isinstance(value, list):
        return len(value)
    return min(max(value, 0), _LARGEST) if type(value) is int else _DEFAULT_PAGE


@dataclass(slots=True)
class PricedField:
    """All selections of one response key on one parent type, merged as the execution merges them.

    `node` is the first selection: it gives the arguments. `definition` is `None` if the schema has no such field.
    """

    node: FieldNode
    definition: GraphQLField | None
    weight: int
    below: "FieldLevel | None" = None

    def open(self) -> "tuple[Any, FieldLevel | None]":
        """Return the type and the level of the fields below this field: `(None, None)` for an unknown field."""
        if self.definition is None:
            return None, None
        if self.below is None:
            self.below = FieldLevel()
        return get_named_type(self.definition.type), self.below

    def cost(self, parent_size: Size | None) -> Cost:
        """Return the cost. `parent_size` is the length of the list that the arguments of the parent give, if any."""
        own = Cost(self.weight)
        if self.definition is None or self.below is None:
            return own
        if self.node.name.value in INTROSPECTION:
            return Cost(_INTROSPECTION_COST * self.below.count())
        own_size = _size_of(self.node)
        if not is_list_type(get_nullable_type(self.definition.type)):
            own.add(self.below.cost(own_size))
            return own
        size = own_size if own_size is not None else parent_size
        own.add(self.below.cost(None), _DEFAULT_LENGTH if size is None else size)
        return own


@dataclass(slots=True)
class FieldLevel:
    """The fields at one path of the response, by parent type and response key, and the fragments spread there."""

    fields: dict[tuple[str, str], PricedField] = field(default_factory=dict)
    fragments: set[str] = field(default_factory=set)

    def cost(self, parent_size: Size | None = None) -> Cost:
        """Return the cost of all fields of this level and below."""
        cost = Cost()
        for item in self.fields.values():
            cost.add(item.cost(parent_size))
        return cost

    def count(self) -> int:
        """Return the number of fields of this level and below, without multiplying lists."""
        return len(self.fields) + sum(item.below.count() for item in self.fields.values() if item.below is not None)


def _size_of(node: FieldNode) -> Size | None:
    """Return the list length that the arguments of a field give, if any."""
    sizes = [_size(argument.value) for argument in node.arguments or () if argument.name.value in _SIZE_ARGUMENTS]
    known = [size for size in sizes if size is not None]
    variables = [size for size in known if isinstance(size, str)]
    return variables[0] if variables else max(known, default=None)


def _size(value: Any) -> Size | None:
    if isinstance(value, VariableNode):
        return value.name.value
    if isinstance(value, ListValueNode):
        return len(value.values)
    if value.kind != "int_value":
        return None
    return max(int(value.value), 0) if len(value.value) <= _DIGITS else _LARGEST
