"""The fields that a selection asks for, like the internal `collect_subfields` of graphql-core.

Only selections that a plan can complete are supported. A directive other than `@skip` and `@include` (for example
`@defer`), a fragment with its own variables and an unknown name raise `NotCompiledError`. graphql-core then completes
that part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    get_argument_values,
    is_abstract_type,
)
from graphql.execution.values import VariableValues

FieldsByKey = dict[str, list[FieldNode]]
"""The fields of one object by response key, in the order of the response."""


class NotCompiledError(Exception):
    """A part of a document that has no plan."""


@dataclass(frozen=True, slots=True)
class FieldCollector:
    """Collects the fields of selections in one operation, with its schema, fragments and variable values."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]

    def fields_below(self, kind: GraphQLObjectType, parents: Iterable[FieldNode]) -> FieldsByKey:
        """Return the fields below these nodes of one field."""
        return self.fields_in(kind, (parent.selection_set for parent in parents if parent.selection_set is not None))

    def fields_in(self, kind: GraphQLObjectType, selected: Iterable[SelectionSetNode]) -> FieldsByKey:
        """Return the fields of these selections of one object."""
        collection = _Collection(self, kind)
        for selections in selected:
            collection.add(selections)
        return collection.fields

    def possible_fields_below(self, parents: Iterable[FieldNode]) -> list[FieldNode]:
        """Return the fields below these nodes of one field for all types and all values of the variables."""
        collection = _PossibleFields(self, None)
        for parent in parents:
            if parent.selection_set is not None:
                collection.add(parent.selection_set)
        return list(chain.from_iterable(collection.fields.values()))


@dataclass(frozen=True, slots=True)
class _Collection:
    collector: FieldCollector
    kind: Any
    fields: FieldsByKey = field(default_factory=dict)
    fragments: set[str] = field(default_factory=set)

    def add(self, selections: SelectionSetNode) -> None:
        # A stack instead of a recursion: a chain of fragments can be longer than Python's call stack.
        pending = [iter(selections.selections)]
        while pending:
            selection = next(pending[-1], None)
            if selection is None:
                pending.pop()
            elif self._is_included(selection) and (inner := self._open(selection)) is not None:
                pending.append(iter(inner.selections))

    def _open(self, selection: SelectionNode) -> SelectionSetNode | None:
        """Add a field, or return the selections of a fragment if they apply."""
        if isinstance(selection, FieldNode):
            key = selection.alias.value if selection.alias else selection.name.value
            self.fields.setdefault(key, []).append(selection)
            return None
        fragment: Any = selection
        if isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            # Only the first spread of a fragment counts, as in graphql-core.
            if name in self.fragments:
                return None
            fragment = self._fragment(name)
            self.fragments.add(name)
        return fragment.selection_set if self._applies(fragment) else None

    def _fragment(self, name: str) -> FragmentDefinitionNode:
        fragment = self.collector.fragments.get(name)
        if fragment is None or fragment.variable_definitions:
            raise NotCompiledError(name)
        return fragment

    def _applies(self, fragment: FragmentDefinitionNode | InlineFragmentNode) -> bool:
        if fragment.type_condition is None:
            return True
        schema, name = self.collector.schema, fragment.type_condition.name.value
        condition = schema.get_type(name)
        if is_abstract_type(condition):
            return schema.is_sub_type(condition, self.kind)
        return condition is self.kind

    def _is_included(self, selection: SelectionNode) -> bool:
        included = True
        for directive in getattr(selection, "directives", None) or ():
            name = directive.name.value
            if name not in {"skip", "include"}:
                raise NotCompiledError(name)
            included = included and self._condition(directive) is (name == "include")
        return included

    def _condition(self, directive: DirectiveNode) -> bool:
        node: Any = directive.arguments[0].value if directive.arguments else None
        variables = self.collector.variables
        value = variables.get(node.name.value) if _is_variable(node) else getattr(node, "value", None)
        if type(value) is not bool:
            raise NotCompiledError(directive.name.value)
        return value


class _PossibleFields(_Collection):
    """Collects fields without regard to type conditions and directives. The document must be valid."""

    def _fragment(self, name: str) -> FragmentDefinitionNode:
        return self.collector.fragments[name]

    def _applies(self, _fragment: FragmentDefinitionNode | InlineFragmentNode) -> bool:
        return True

    def _is_included(self, _selection: SelectionNode) -> bool:
        return True


def _is_variable(value: Any) -> bool:
    return getattr(value, "kind", None) == "variable"


def arguments_of(definition: GraphQLField, node: FieldNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a field, coerced by graphql-core, with these values of the variables.

    Raises:
        GraphQLError: An argument is not valid.
    """
    return get_argument_values(definition, node, VariableValues({}, dict(variables)))


def has_variable(value: Any) -> bool:
    """Return true if a value contains a variable at any depth."""
    if value.kind == "list_value":
        return any(map(has_variable, value.values))
    if value.kind == "object_value":
        return any(has_variable(item.value) for item in value.fields)
    return _is_variable(value)
