"""graphql-core's executor, with a plan where a result is marked as plain.

An operation finds its plans on its document (`PlannedDocument`); one that was parsed elsewhere is executed as ever.
"""

from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLOutputType, GraphQLSchema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.collect_fields import Operation
from graph.execution.compiler import Plan
from graph.execution.plan_cache import Plans
from graph.execution.row_result import Plain
from graph.execution.single_field import Directs


class PlannedDocument(DocumentNode):
    """A document that carries its plans, so that both live, and are dropped, together."""

    plans: Plans
    directs: Directs

    @classmethod
    def of(cls, document: DocumentNode, plans: Plans) -> "PlannedDocument":
        """A document with its plans."""
        planned = cls(definitions=document.definitions, loc=document.loc)
        fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
        # Nodes are frozen, and what a node is made of is its fields: these are none of them.
        vars(planned).update(plans=plans, directs=Directs(plans, fragments))
        return planned


# The kind, by which visitors find their way, is derived from the name of the class.
PlannedDocument.kind = DocumentNode.kind


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """Completes marked results with plans. A plan that bails leaves the same data to graphql-core."""

    plans: Plans | None = None

    @classmethod
    def build(cls, schema: GraphQLSchema, document: DocumentNode, *args: Any, **kwargs: Any) -> Any:
        """An executor, or the errors for which there can be none."""
        built = super().build(schema, document, *args, **kwargs)
        if isinstance(built, CompiledExecutor) and isinstance(document, PlannedDocument):
            built.plans = document.plans
        return built

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: list[Any],
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete a value: a marked one with its plan, and everything else, and what a plan bails on, as ever."""
        if type(result) is Plain:
            plans = self.plans
            plan = self._plan(plans, return_type, field_details_list) if plans is not None else None
            if plans is not None and plan is not None:
                try:
                    return plan(result.value, info)
                except Exception:  # noqa: BLE001 - whatever it was, graphql-core completes the same data, and reports
                    plans.bails += 1
            result = result.value
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _plan(self, plans: Plans, return_type: GraphQLOutputType, details: list[Any]) -> Plan | None:
        # Whoever watches each field sees each field: nothing is compiled past a middleware.
        if self.middleware_manager is not None and self.middleware_manager.middlewares:
            return None
        if any(detail.fragment_variable_values for detail in details):
            return None
        operation = Operation(self.schema, self.fragment_definitions, self.variable_values.coerced)
        return plans.find(operation, return_type, [detail.node for detail in details])
