"""What an operation costs in the worst case, in fields that are shown.

A field costs 1, or its weight. What is below a list counts as often as the list may be long: as `first` or `last` say,
or the number of `ids`, or 10 where nothing says it. Where a field that is no list bears `first`, as a connection does,
the lists right below it are that long. `@skip` and `@include` are taken to show everything. Introspection shows a
schema that is as large as it is: a field of it costs the same wherever it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

_SIZES: Final = frozenset({"first", "last", "ids"})
_LIST: Final = 10
_PAGE: Final = 100
_DIGITS: Final = 10
_ENDLESS: Final = 10**_DIGITS
"""Stands for any number that has more digits, which no `Int` has."""
_INTROSPECTION: Final = frozenset({"__schema", "__type"})
_INTROSPECTED: Final = 20
"""A field of an introspection. Its usual query has some 230 of them, fragments included, and is within the limit."""

Fragments = Mapping[str, FragmentDefinitionNode]
Size = int | str
"""How long a list is, or the name of the variable that says it."""


@dataclass(slots=True)
class Cost:
    """A cost whose lists may be as long as a variable says: `fixed`, and for each size the cost of one item."""

    fixed: int = 0
    scaled: list[tuple[str, "Cost"]] = field(default_factory=list)

    def add(self, other: "Cost", size: Size = 1) -> None:
        """Add a cost, so many times."""
        if isinstance(size, str):
            self.scaled.append((size, other))
            return
        self.fixed += other.fixed * size
        for name, item in other.scaled:
            repeated = Cost()
            repeated.add(item, size)
            self.scaled.append((name, repeated))

    def of(self, variables: Mapping[str, Any]) -> int:
        """The cost with these values of the variables, which nobody has checked yet."""
        return self.fixed + sum(item.of(variables) * _length(variables.get(name)) for name, item in self.scaled)


def _length(value: Any) -> int:
    if isinstance(value, list):
        return len(value)
    return min(max(value, 0), _ENDLESS) if type(value) is int else _PAGE


@dataclass(frozen=True, slots=True)
class Costs:
    """Reads the costs of operations on a schema. `weights` are those of single fields, by type and field name."""

    schema: GraphQLSchema
    weights: Mapping[tuple[str, str], int]

    def of(self, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
        """The cost of an operation. It need not be valid: what the schema does not have costs little or nothing."""
        root = self.schema.get_root_type(operation.operation)
        return self._place(root, [operation.selection_set], fragments, None)

    def _place(
        self, parent: Any, selected: Iterable[SelectionSetNode], fragments: Fragments, size: Size | None
    ) -> Cost:
        place = _Place(self.schema, fragments)
        for selections in selected:
            place.add(parent, selections)
        cost = Cost()
        for kind, nodes in place.fields.values():
            cost.add(self._field(kind, nodes, fragments, size))
        return cost

    def _field(self, parent: Any, nodes: list[FieldNode], fragments: Fragments, given: Size | None) -> Cost:
        name = nodes[0].name.value
        own = Cost(self.weights.get((parent.name, name), 1))
        definition = self.schema.get_field(parent, name)
        selected = [node.selection_set for node in nodes if node.selection_set is not None]
        if definition is None or not selected:
            return own
        if name in _INTROSPECTION:
            return Cost(_INTROSPECTED * self._shown(get_named_type(definition.type), selected, fragments))
        listed = is_list_type(get_nullable_type(definition.type))
        said = size_of(nodes[0])
        size = said if said is not None else given
        below = self._place(get_named_type(definition.type), selected, fragments, None if listed else said)
        own.add(below, (_LIST if size is None else size) if listed else 1)
        return own

    def _shown(self, parent: Any, selected: Iterable[SelectionSetNode], fragments: Fragments) -> int:
        """How many fields of the schema are shown, lists counted once: they are as long as the schema has it."""
        place = _Place(self.schema, fragments)
        for selections in selected:
            place.add(parent, selections)
        count = len(place.fields)
        for kind, nodes in place.fields.values():
            definition = self.schema.get_field(kind, nodes[0].name.value)
            inner = [node.selection_set for node in nodes if node.selection_set is not None]
            if definition is not None and inner:
                count += self._shown(get_named_type(definition.type), inner, fragments)
        return count


@dataclass(frozen=True, slots=True)
class _Place:
    """The fields of one place of the answer, with their parents, merged as execution merges them."""

    schema: GraphQLSchema
    fragments: Fragments
    fields: dict[tuple[str, str], tuple[Any, list[FieldNode]]] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)

    def add(self, parent: Any, selections: SelectionSetNode) -> None:
        if parent is None:
            return
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                self.fields.setdefault((parent.name, key), (parent, []))[1].append(selection)
            else:
                self._open(parent, selection)

    def _open(self, parent: Any, selection: Any) -> None:
        inner = selection
        if isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name in self.opened or name not in self.fragments:
                return
            self.opened.add(name)
            inner = self.fragments[name]
        kind = self.schema.get_type(inner.type_condition.name.value) if inner.type_condition else parent
        self.add(kind, inner.selection_set)


def size_of(node: FieldNode) -> Size | None:
    """How many items a field asks for, if it says."""
    sizes = [_size(argument.value) for argument in node.arguments or () if argument.name.value in _SIZES]
    known = [size for size in sizes if size is not None]
    named = [size for size in known if isinstance(size, str)]
    return named[0] if named else max(known, default=None)


def _size(value: Any) -> Size | None:
    if isinstance(value, VariableNode):
        return value.name.value
    if isinstance(value, ListValueNode):
        return len(value.values)
    if value.kind != "int_value":
        return None
    return max(int(value.value), 0) if len(value.value) <= _DIGITS else _ENDLESS
