"""The variables that the results of a subscription depend on."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import FieldNode, Node, VariableNode

from graph.execution.run_operation import FoundOperation


def result_variables(found: FoundOperation) -> Mapping[str, Any]:
    """Return the variables of a subscription that are used outside the arguments of its field.

    Those arguments only select the events. Clients that continue at different places get the same results from then on.
    """
    given = found.params.variables or {}
    names = set(_used(found)) if given else set()
    return {name: value for name, value in given.items() if name in names}


def _used(found: FoundOperation) -> Iterator[str]:
    for definition in found.document.node.definitions:
        if definition is not found.operation:
            yield from _names(definition)
    for item in found.operation.selection_set.selections:
        yield from _names([item.directives, item.selection_set] if isinstance(item, FieldNode) else item)


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, VariableNode):
        yield node.name.value
    elif isinstance(node, Node):
        for key in node.keys:
            yield from _names(getattr(node, key))
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _names(each)
