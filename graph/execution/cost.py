"""The cost of an operation: the number of fields in its largest possible response.

- A field costs 1, or its weight.
- The cost below a list is multiplied by the length of the list: the value of `first` or `last`, the number of ids, or
  10 if the field has none of these arguments. If a field that is not a list has such an argument, as a connection does,
  it gives the length of the lists directly below it.
- No list is longer than a page. A larger value counts as a page: the resolver rejects it and names the allowed values.
- A list with `descendants` costs 100 more, because the store reads each of the accounts below.
- If the `input` of a mutation has `ids`, the mutation costs its weight for each of them.
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

INTROSPECTION: Final = frozenset({"__schema", "__type", "_service"})
"""The fields that return the schema. Depth is not counted below them."""
ID_ARGUMENTS: Final = frozenset({"ids", "representations"})
"""The arguments with ids of objects. `representations` are the references of a federation gateway."""
_SIZE_ARGUMENTS: Final = frozenset({"first", "last"}) | ID_ARGUMENTS
_INPUT: Final = "input"
_IDS: Final = "ids"
_DESCENDANTS: Final = "descendants"
_DESCENDANTS_COST: Final = 100
_DEFAULT_LENGTH: Final = 10
_PAGE: Final = 100
"""The largest length of a list, and the length if the value of its variable is missing or is not a number."""
_DIGITS: Final = 10
"""The most digits of an `Int`."""
_INTROSPECTION_COST: Final = 20
"""The cost of a field in an introspection. The usual introspection query has about 230 fields, within the limit."""

Variable = tuple[str, ...]
"""The name of a variable, and the keys in its value."""
Size = int | Variable
"""The length of a list, or the variable that gives it."""


@dataclass(slots=True)
class Cost:
    """A cost that may depend on variables: `fixed`, plus for each (variable, cost) the cost times the variable."""

    fixed: int = 0
    scaled: list[tuple[Variable, "Cost"]] = field(default_factory=list)

    def add(self, other: "Cost", size: Size = 1) -> None:
        """Add another cost, multiplied by a size."""
        if isinstance(size, tuple):
            self.scaled.append((size, other))
            return
        self.fixed += other.fixed * size
        for name, item in other.scaled:
            repeated = Cost()
            repeated.add(item, size)
            self.scaled.append((name, repeated))

    def of(self, variables: Mapping[str, Any]) -> int:
        """Return the cost for these values of the variables. The values are not validated yet."""
        return self.fixed + sum(item.of(variables) * _length(variables, name) for name, item in self.scaled)


def _length(variables: Mapping[str, Any], name: Variable) -> int:
    value: Any = variables
    for key in name:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        value = len(value)
    return min(max(value, 0), _PAGE) if type(value) is int else _PAGE


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
        own, ids = Cost(), self._ids()
        own.add(Cost(self.weight), 1 if ids is None else ids)
        own.fixed += _DESCENDANTS_COST * self._reads_descendants()
        if self.definition is None or self.below is None:
            return own
        if self.node.name.value in INTROSPECTION:
            return Cost(_INTROSPECTION_COST * self.below.count())
        own_size = self._size()
        if not is_list_type(get_nullable_type(self.definition.type)):
            own.add(self.below.cost(own_size))
            return own
        size = own_size if own_size is not None else parent_size
        own.add(self.below.cost(None), _DEFAULT_LENGTH if size is None else size)
        return own

    def _size(self) -> Size | None:
        """Return the list length that the arguments give, if any."""
        arguments = self.node.arguments or ()
        sizes = [_size_of(argument.value) for argument in arguments if argument.name.value in _SIZE_ARGUMENTS]
        known = [size for size in (*sizes, self._ids()) if size is not None]
        variables = [size for size in known if isinstance(size, tuple)]
        return variables[0] if variables else max((size for size in known if isinstance(size, int)), default=None)

    def _reads_descendants(self) -> bool:
        if self.definition is None or not {"first", _DESCENDANTS} <= self.definition.args.keys():
            return False
        given = [argument.value for argument in self.node.arguments or () if argument.name.value == _DESCENDANTS]
        return any(getattr(value, "value", None) is not False and value.kind != "null_value" for value in given)

    def _ids(self) -> Size | None:
        """Return the number of `ids` in the `input` of a mutation, if it has any."""
        definition = self.definition.args.get(_INPUT) if self.definition is not None else None
        if definition is None or _IDS not in getattr(get_named_type(definition.type), "fields", ()):
            return None
        values = [argument.value for argument in self.node.arguments or () if argument.name.value == _INPUT]
        return _size_of_input(values[0]) if values else None


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


def _size_of_input(value: Any) -> Size | None:
    if isinstance(value, VariableNode):
        return value.name.value, _IDS
    found = [item.value for item in getattr(value, "fields", ()) if item.name.value == _IDS]
    return _size_of(found[0]) if found else None


def _size_of(value: Any) -> Size | None:
    if isinstance(value, VariableNode):
        return (value.name.value,)
    if isinstance(value, ListValueNode):
        return min(len(value.values), _PAGE)
    if value.kind != "int_value":
        return None
    return min(max(int(value.value), 0), _PAGE) if len(value.value) <= _DIGITS else _PAGE
