"""The plans of one document, by field and by the values of the variables in `@skip` and `@include`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphql import FieldNode, GraphQLOutputType

from graph.execution.collect_fields import FieldCollector
from graph.execution.compiler import Compiler, Plan

MAX_PLANS: Final = 64
"""The maximum number of plans of one document. Ten `@include` variables could need a thousand plans for each field."""
_PLAN_BYTES: Final = 19_000
"""The memory of a plan: measured on a page of 20 fields, with its two classes, columns and checks."""


class PlanCache:
    """Compiles plans when they are first needed, and keeps them.

    `condition_variables` are the variables of `@skip` and `@include`. `grow` is called with the number of bytes that
    new plans add.
    """

    def __init__(
        self, compiler: Compiler, condition_variables: frozenset[str], grow: Callable[[int], None] | None = None
    ) -> None:
        self._compiler = compiler
        self._condition_variables = sorted(condition_variables)
        self._grow = grow
        self._plans: dict[tuple[Any, ...], Plan | None] = {}
        self.bails = 0
        self.bytes = 0

    def find(self, collector: FieldCollector, kind: GraphQLOutputType, nodes: Sequence[FieldNode]) -> Plan | None:
        """Return the plan for the result of a field, or `None` if graphql-core must complete it."""
        # The nodes live as long as the document of these plans, so their identities are safe keys.
        key = (*map(id, nodes), *self.conditions(collector.variables))
        try:
            return self._plans[key]
        except KeyError:
            return self._add(key, collector, kind, nodes)

    def stop_counting(self) -> None:
        """Stop calling `grow`."""
        self._grow = None

    def conditions(self, variables: Mapping[str, Any]) -> list[Any]:
        """Return the values of the `@skip` and `@include` variables. A plan is valid only for these values."""
        return [variables.get(name) for name in self._condition_variables]

    def _add(
        self, key: tuple[Any, ...], collector: FieldCollector, kind: GraphQLOutputType, nodes: Sequence[FieldNode]
    ) -> Plan | None:
        plan = self._compiler.compile(collector, kind, nodes)
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        self._count_bytes()
        return plan

    def _count_bytes(self) -> None:
        before, self.bytes = self.bytes, len(self._plans) * _PLAN_BYTES
        if self._grow is not None:
            self._grow(self.bytes - before)
