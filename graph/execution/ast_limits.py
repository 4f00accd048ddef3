"""The limits of a parsed document, and the costs of its operations, in one walk before validation.

The walk follows a fragment once at each path of the response, as execution and validation do. It stops at the first
limit that is exceeded, so its length is bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graph.execution.cost import ID_ARGUMENTS, INTROSPECTION, Cost, FieldLevel, PricedField
from graph.execution.request_errors import LimitError
from graph.execution.request_limits import Limits

_CONDITIONS: Final = frozenset({"skip", "include"})

Weights = Mapping[tuple[str, str], int]
"""The costs of fields that cost more than 1, by type and field name."""


def check_ids(values: Any, limits: Limits) -> None:
    """Check the number of ids in a list.

    Raises:
        LimitError: The list has too many ids.
    """
    if isinstance(values, list | tuple) and len(values) > limits.ids:
        raise LimitError("ids", len(values), limits.ids)


@dataclass(slots=True)
class DocumentSummary:
    """The size of a document, the variables that matter before execution, and the costs of its operations.

    `condition_variables` are used by `@skip` and `@include`, `id_variables` by arguments with ids. `costs` are by
    operation name.
    """

    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    introspects: bool = False
    condition_variables: set[str] = field(default_factory=set)
    id_variables: set[str] = field(default_factory=set)
    costs: dict[str | None, Cost] = field(default_factory=dict)

    @classmethod
    def of(cls, document: DocumentNode, schema: GraphQLSchema, limits: Limits, weights: Weights) -> "DocumentSummary":
        """Summarize a document. It need not be valid: fields that the schema does not have cost little or nothing.

        Raises:
            LimitError: The document exceeds a limit, or each of its operations costs too much for any variables.
        """
        summary = cls()
        _Walk(schema, limits, weights, summary).document(document)
        least = min((cost.fixed for cost in summary.costs.values()), default=0)
        if least > limits.cost:
            raise LimitError("points of cost", least, limits.cost)
        return summary


@dataclass(slots=True)
class _Path:
    """A path of the response: how often each key is selected there, the paths below, and the fragments spread there.

    Parent types are not distinguished here. `FieldLevel` does that for the cost.
    """

    depth: int
    keys: dict[str, int] = field(default_factory=dict)
    below: dict[str, "_Path"] = field(default_factory=dict)
    fragments: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Walk:
    """The walk over one document.

    Each step has a path, for the limits, and a parent type with its level, for the cost. The path is `None` where the
    limits already count these selections: a fragment counts once at a path, but its cost counts once for each parent
    type there. The parent type is `None` where the type is unknown or the cost is already counted.
    """

    schema: GraphQLSchema
    limits: Limits
    weights: Weights
    summary: DocumentSummary
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    spread: set[str] = field(default_factory=set)
    repeated_fields: int = 0

    def document(self, document: DocumentNode) -> None:
        """Walk over all operations, and over the fragments that no operation spreads: validation visits them too."""
        definitions = document.definitions
        self.fragments = {item.name.value: item for item in definitions if isinstance(item, FragmentDefinitionNode)}
        for operation in definitions:
            if isinstance(operation, OperationDefinitionNode):
                self._operation(operation)
        for name, fragment in self.fragments.items():
            if name not in self.spread:
                self._selections(fragment.selection_set, _Path(1), None, None)

    def _operation(self, operation: OperationDefinitionNode) -> None:
        self._directives(operation)
        level = FieldLevel()
        root = self.schema.get_root_type(operation.operation)
        self._selections(operation.selection_set, _Path(1), root, level)
        self.summary.costs[operation.name.value if operation.name else None] = level.cost()

    def _selections(self, selections: SelectionSetNode, path: _Path | None, parent: Any, level: Any) -> None:
        if path is None and parent is None:
            return
        for selection in selections.selections:
            if path is not None:
                self._directives(selection)
            if isinstance(selection, FieldNode):
                self._field(selection, path, parent, level)
            elif isinstance(selection, FragmentSpreadNode):
                self._spread(selection.name.value, path, parent, level)
            else:
                inline: Any = selection
                self._selections(inline.selection_set, path, self._condition(inline, parent), level)

    def _field(self, node: FieldNode, path: _Path | None, parent: Any, level: FieldLevel | None) -> None:
        key = node.alias.value if node.alias else node.name.value
        self._count_field(node, key, path)
        priced = self._price(node, key, parent, level)
        if node.selection_set is not None:
            below = self._below(path, key, node.name.value) if path is not None else None
            kind, inner = priced.open() if priced is not None else (None, None)
            self._selections(node.selection_set, below, kind, inner)

    def _count_field(self, node: FieldNode, key: str, path: _Path | None) -> None:
        if path is None:
            self._count_repeated_field()
            return
        before = path.keys.get(key, 0)
        path.keys[key] = before + 1
        self._count("fields", 1)
        self._count("aliases", node.alias is not None)
        self._count("repeats", before)
        self._ids(node)

    def _count_repeated_field(self) -> None:
        # Without this limit, fragments that repeat below two parent types double the walk at each level.
        self.repeated_fields += 1
        if self.repeated_fields > self.limits.fields:
            raise LimitError("fields", f"more than {self.limits.fields}", self.limits.fields)

    def _price(self, node: FieldNode, key: str, parent: Any, level: FieldLevel | None) -> PricedField | None:
        if parent is None or level is None:
            return None
        found = level.fields.get((parent.name, key))
        if found is None:
            name = node.name.value
            weight = self.weights.get((parent.name, name), 1)
            found = PricedField(node, self.schema.get_field(parent, name), weight)
            level.fields[parent.name, key] = found
        return found

    def _below(self, path: _Path, key: str, name: str) -> _Path:
        found = path.below.get(key)
        if found is None:
            # The usual introspection query is deeper than a page query. Its depth does not count.
            introspects = name in INTROSPECTION
            self.summary.introspects = self.summary.introspects or introspects
            found = path.below[key] = _Path(0 if introspects or path.depth == 0 else path.depth + 1)
        if found.depth > self.limits.depth:
            raise LimitError("levels of fields", found.depth, self.limits.depth)
        return found

    def _spread(self, name: str, path: _Path | None, parent: Any, level: FieldLevel | None) -> None:
        fragment = self.fragments.get(name)
        # Validation reports unknown fragments and cycles. Here it is enough that a cycle ends.
        if fragment is None:
            return
        if path is not None:
            path = self._open_at(path, name, fragment)
        if level is not None and parent is not None:
            parent = None if name in level.fragments else self._condition(fragment, parent)
            level.fragments.add(name)
        self._selections(fragment.selection_set, path, parent, level)

    def _open_at(self, path: _Path, name: str, fragment: FragmentDefinitionNode) -> _Path | None:
        if name in path.fragments:
            return None
        path.fragments.add(name)
        self.spread.add(name)
        self._directives(fragment)
        return path

    def _condition(self, fragment: Any, parent: Any) -> Any:
        """Return the parent type of the selections in a fragment: its type condition, if it has one."""
        if parent is None or fragment.type_condition is None:
            return parent
        return self.schema.get_type(fragment.type_condition.name.value)

    def _ids(self, node: FieldNode) -> None:
        for argument in node.arguments or ():
            if argument.name.value in ID_ARGUMENTS:
                value: Any = argument.value
                if value.kind == "variable":
                    self.summary.id_variables.add(value.name.value)
                elif value.kind == "list_value":
                    check_ids(value.values, self.limits)

    def _directives(self, node: Any) -> None:
        for directive in node.directives or ():
            self._count("directives", 1)
            if directive.name.value in _CONDITIONS:
                values = [argument.value for argument in directive.arguments or ()]
                self.summary.condition_variables |= {value.name.value for value in values if value.kind == "variable"}

    def _count(self, name: str, more: int) -> None:
        count = getattr(self.summary, name) + more
        setattr(self.summary, name, count)
        maximum = getattr(self.limits, name)
        if count > maximum:
            raise LimitError(name, f"more than {maximum}", maximum)
