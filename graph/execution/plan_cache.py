"""The plans of one document, by field and by the values of the variables that decide what is skipped."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphql import FieldNode, GraphQLOutputType

from graph.execution.collect_fields import Operation
from graph.execution.compiler import Compiler, Plan

MAX_PLANS: Final = 64
"""The most plans of one document: with ten `@include` variables there could be a thousand of each."""
_PLAN_BYTES: Final = 19_000
"""What a plan weighs: measured on a page of 20 fields, its two classes, columns and checks."""


class Plans:
    """Makes plans when they are first needed. `grow` is told how many bytes they add."""

    def __init__(self, compiler: Compiler, switches: frozenset[str], grow: Callable[[int], None] | None = None) -> None:
        self._compiler = compiler
        self._switches = sorted(switches)
        self._grow = grow
        self._plans: dict[tuple[Any, ...], Plan | None] = {}
        self.bails = 0
        self.bytes = 0

    def find(self, operation: Operation, kind: GraphQLOutputType, nodes: Sequence[FieldNode]) -> Plan | None:
        """The plan for the result of a field, or `None` where graphql-core is to complete it."""
        # The nodes live as long as the document that these plans belong to, so their identity names them.
        key = (*map(id, nodes), *self.chosen(operation.variables))
        try:
            return self._plans[key]
        except KeyError:
            return self._make(key, operation, kind, nodes)

    def forget(self) -> None:
        """Tell nobody any more how the plans grow."""
        self._grow = None

    def chosen(self, variables: Mapping[str, Any]) -> list[Any]:
        """The values of the variables that decide what is skipped: what is compiled holds for these."""
        return [variables.get(name) for name in self._switches]

    def _make(
        self, key: tuple[Any, ...], operation: Operation, kind: GraphQLOutputType, nodes: Sequence[FieldNode]
    ) -> Plan | None:
        plan = self._compiler.compile(operation, kind, nodes)
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        self._weigh()
        return plan

    def _weigh(self) -> None:
        before, self.bytes = self.bytes, len(self._plans) * _PLAN_BYTES
        if self._grow is not None:
            self._grow(self.bytes - before)
