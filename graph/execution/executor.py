"""graphql-core's executor, which completes marked results with plans.

An operation finds its plans on its document (`PlannedDocument`). Any other document is executed without plans.
"""

from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLOutputType, GraphQLSchema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.collect_fields import FieldCollector
from graph.execution.compiler import Plan, PlanInput
from graph.execution.plan_cache import PlanCache
from graph.execution.single_field import SingleFieldCache


class PlannedDocument(DocumentNode):
    """A document with its plans. Both are dropped together."""

    plans: PlanCache
    single_fields: SingleFieldCache

    @classmethod
    def of(cls, document: DocumentNode, plans: PlanCache) -> "PlannedDocument":
        """Return a copy of a document, with these plans."""
        planned = cls(definitions=document.definitions, loc=document.loc)
        fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
        # Nodes are frozen. These two attributes are not fields of the node, so equality and visitors ignore them.
        vars(planned).update(plans=plans, single_fields=SingleFieldCache(plans, fragments))
        return planned


# graphql-core derives the kind from the class name, and visitors depend on it.
PlannedDocument.kind = DocumentNode.kind


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """Completes marked results with plans. If a plan bails, graphql-core completes the same data."""

    plans: PlanCache | None = None

    @classmethod
    def build(cls, schema: GraphQLSchema, document: DocumentNode, *args: Any, **kwargs: Any) -> Any:
        """Return an executor, or the list of errors that prevent the execution."""
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
        """Complete a value: a marked value with its plan, every other value as graphql-core does."""
        if type(result) is PlanInput:
            plans = self.plans
            plan = self._plan(plans, return_type, field_details_list) if plans is not None else None
            if plans is not None and plan is not None:
                try:
                    return plan(result.value, info)
                except Exception:  # noqa: BLE001 - graphql-core completes the same data, and reports the error
                    plans.bails += 1
            result = result.value
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _plan(self, plans: PlanCache, return_type: GraphQLOutputType, details: list[Any]) -> Plan | None:
        # A middleware must see each field, so no plan is used with one.
        if self.middleware_manager is not None and self.middleware_manager.middlewares:
            return None
        if any(detail.fragment_variable_values for detail in details):
            return None
        collector = FieldCollector(self.schema, self.fragment_definitions, self.variable_values.coerced)
        return plans.find(collector, return_type, [detail.node for detail in details])
