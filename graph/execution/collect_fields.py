"""Which fields a selection asks for: graphql-core's `collect_subfields`, which is internal to it, in our own lines.

Only what a plan can hold is read. A directive other than `@skip` and `@include` (`@defer` is one), a fragment with
variables of its own or an unknown name raise `NotCompiledError`: graphql-core then completes that part itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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

Grouped = dict[str, list[FieldNode]]


class NotCompiledError(Exception):
    """A part of a document that no plan is made for."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What selections of one operation are read with: its schema, fragments and the values of its variables."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]

    def fields_of(self, kind: GraphQLObjectType, parents: Iterable[FieldNode]) -> Grouped:
        """The fields below these nodes of one field, by response key, in the order of the answer."""
        return self.fields_in(kind, (parent.selection_set for parent in parents if parent.selection_set is not None))

    def fields_in(self, kind: GraphQLObjectType, selected: Iterable[SelectionSetNode]) -> Grouped:
        """The fields of these selections of one object, by response key, in the order of the answer."""
        reading = _Reading(self, kind)
        for selections in selected:
            reading.add(selections)
        return reading.grouped


@dataclass(frozen=True, slots=True)
class _Reading:
    operation: Operation
    kind: GraphQLObjectType
    grouped: Grouped = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)

    def add(self, selections: SelectionSetNode) -> None:
        for selection in selections.selections:
            if not self._is_included(selection):
                continue
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                self.grouped.setdefault(key, []).append(selection)
            else:
                self._open(selection)

    def _open(self, selection: SelectionNode) -> None:
        fragment: Any = selection
        if isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            # A fragment counts where it is spread first, as in graphql-core.
            if name in self.opened:
                return
            fragment = self.operation.fragments.get(name)
            if fragment is None or fragment.variable_definitions:
                raise NotCompiledError(name)
            self.opened.add(name)
        if self._applies(fragment):
            self.add(fragment.selection_set)

    def _applies(self, fragment: FragmentDefinitionNode | InlineFragmentNode) -> bool:
        if fragment.type_condition is None:
            return True
        schema, name = self.operation.schema, fragment.type_condition.name.value
        condition = schema.get_type(name)
        if is_abstract_type(condition):
            return schema.is_sub_type(condition, self.kind)
        return condition is self.kind

    def _is_included(self, selection: SelectionNode) -> bool:
        shown = True
        for directive in getattr(selection, "directives", None) or ():
            asked = directive.name.value
            if asked not in {"skip", "include"}:
                raise NotCompiledError(asked)
            shown = shown and self._condition(directive) is (asked == "include")
        return shown

    def _condition(self, directive: DirectiveNode) -> bool:
        value: Any = directive.arguments[0].value if directive.arguments else None
        given = self.operation.variables.get(value.name.value) if _is_variable(value) else getattr(value, "value", None)
        if type(given) is not bool:
            raise NotCompiledError(directive.name.value)
        return given


def _is_variable(value: Any) -> bool:
    return getattr(value, "kind", None) == "variable"


def arguments_of(definition: GraphQLField, node: FieldNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a field, as graphql-core coerces them, with these values of the variables.

    Raises:
        GraphQLError: one of them is wrong.
    """
    return get_argument_values(definition, node, VariableValues({}, dict(variables)))


def has_variable(value: Any) -> bool:
    """Whether there is a variable anywhere in a value."""
    if value.kind == "list_value":
        return any(map(has_variable, value.values))
    if value.kind == "object_value":
        return any(has_variable(item.value) for item in value.fields)
    return _is_variable(value)
