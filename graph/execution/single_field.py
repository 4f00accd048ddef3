"""An operation of one field, answered without an execution: its resolver is called, and a plan completes the result.

Setting graphql-core's execution up and converting a field's arguments takes longer than all else that is done once the
rows are there: a point read takes 48 µs with it and 24 without, a listing with its default order 122 and 41. Here what
does not depend on variables is made once for a document.

Whatever comes differently than expected (a variable of the wrong type, a resolver that raises, a value that the plan
does not take) is left to the executor. It is given what the resolver gave or raised, so nothing is asked twice, and all
errors, with their paths and places, are its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_argument_values,
    get_variable_values,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import StrawberryArgument, convert_arguments
from strawberry.types.field import StrawberryField

from graph.execution.collect_fields import Operation, has_variable
from graph.execution.compiler import Plan
from graph.execution.plan_cache import MAX_PLANS, Plans
from graph.execution.row_result import Plain

_NO_VARIABLES: Final = VariableValues({}, {})


class NotDirectError(Exception):
    """The executor has to answer. `outcome` is what the resolver came to, if it was called."""

    def __init__(self, outcome: "Known | None" = None) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Known:
    """What the resolver of a field came to. It stands in the executor's place for middleware, and gives it again."""

    resolver: Callable[..., Any]
    value: Any = None
    error: Exception | None = None
    middlewares: tuple[()] = ()

    def get_field_resolver(self, resolver: Callable[..., Any]) -> Callable[..., Any]:
        """The resolver to call in place of this one: graphql-core asks for that of every field."""
        return self._give if resolver is self.resolver else resolver

    def _give(self, _source: Any, _info: Any, **_arguments: Any) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """One field of the query type, ready to be answered. `fixed` are the arguments that no variable is in."""

    key: str
    parent: GraphQLObjectType
    definition: GraphQLField
    field: StrawberryField
    nodes: list[FieldNode]
    plan: Plan
    fixed: Mapping[str, Any]
    varying: GraphQLField | None
    arguments: list[StrawberryArgument]

    def called_with(self, variables: VariableValues, converter: GraphQLCoreConverter) -> dict[str, Any]:
        """The arguments of the resolver, by their Python names. Raises where the executor has to say what is wrong."""
        if self.varying is None:
            return dict(self.fixed)
        values = get_argument_values(self.varying, self.nodes[0], variables)
        return {**self.fixed, **_converted(values, self.arguments, converter)}


def _converted(
    values: dict[str, Any], arguments: list[StrawberryArgument], converter: GraphQLCoreConverter
) -> dict[str, Any]:
    return convert_arguments(values, arguments, scalar_registry=converter.scalar_registry, config=converter.config)


@dataclass(frozen=True, slots=True)
class Caller:
    """Answers operations of one field. `names` are the fields of the query type whose results are marked as plain."""

    schema: GraphQLSchema
    converter: GraphQLCoreConverter
    names: frozenset[str] = frozenset()

    async def answer(self, directs: "Directs", operation: OperationDefinitionNode, given: Any, context: Any) -> Any:
        """The data of an operation.

        Raises:
            NotDirectError: the executor has to answer.
        """
        variables = self._variables(operation, given)
        direct = directs.find(self, operation, variables)
        try:
            arguments = direct.called_with(variables, self.converter)
        except Exception as error:
            raise NotDirectError from error
        info = self._info(direct, directs, operation, variables, context)
        return {direct.key: await self._call(direct, arguments, info, directs.plans)}

    def _variables(self, operation: OperationDefinitionNode, given: Any) -> VariableValues:
        defined = operation.variable_definitions
        if operation.operation is not OperationType.QUERY:
            raise NotDirectError
        if not defined:
            return _NO_VARIABLES
        variables = get_variable_values(self.schema, defined, given or {}, max_errors=1)
        if isinstance(variables, list):
            raise NotDirectError
        return variables

    async def _call(self, direct: Direct, arguments: dict[str, Any], info: Any, plans: Plans) -> Any:
        resolver: Any = direct.definition.resolve
        called: Any = direct.field.base_resolver
        if called.info_parameter is not None:
            arguments[called.info_parameter.name] = self.converter.config.info_class(
                _raw_info=info, _field=direct.field
            )
        if called.parent_parameter is not None:
            arguments[called.parent_parameter.name] = None
        try:
            value = called(**arguments)
            if optimized_is_awaitable(value):
                value = await value
        except Exception as error:
            raise NotDirectError(Known(resolver, error=error)) from error
        if type(value) is not Plain:
            raise NotDirectError(Known(resolver, value))
        try:
            return direct.plan(value.value, info)
        except Exception as error:
            plans.bails += 1
            # Without the mark: the plan need not find out twice.
            raise NotDirectError(Known(resolver, value.value)) from error

    def _info(
        self,
        direct: Direct,
        directs: "Directs",
        operation: OperationDefinitionNode,
        variables: VariableValues,
        context: Any,
    ) -> GraphQLResolveInfo[Any]:
        return GraphQLResolveInfo(
            field_name=direct.nodes[0].name.value,
            field_nodes=direct.nodes,
            return_type=direct.definition.type,
            parent_type=direct.parent,
            path=Path(None, direct.key, direct.parent.name),
            schema=self.schema,
            fragments=directs.fragments,
            root_value=None,
            operation=operation,
            variable_values=variables.coerced,  # type: ignore[arg-type]
            context=context,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            abort_signal=None,
            async_helpers=None,  # type: ignore[arg-type]
        )

    def make(self, operation: OperationDefinitionNode, read: Operation, plans: Plans) -> Direct | None:
        """What answers an operation with such variables, or `None` where the executor has to."""
        try:
            found = read.fields_in(cast("GraphQLObjectType", self.schema.query_type), (operation.selection_set,))
            return self._made(found, read, plans)
        except Exception:  # noqa: BLE001 - what is wrong with an argument is for the executor to say
            return None

    def _made(self, found: Mapping[str, Sequence[FieldNode]], read: Operation, plans: Plans) -> Direct | None:
        ((key, nodes), *others) = found.items()
        name = nodes[0].name.value
        if others or name not in self.names:
            return None
        parent = cast("GraphQLObjectType", self.schema.query_type)
        definition = parent.fields[name]
        field = definition.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
        plan = plans.find(read, definition.type, nodes)
        if plan is None or field.extensions:
            return None
        varying = {item.name.value for item in nodes[0].arguments or () if has_variable(item.value)}
        fixed = GraphQLField(definition.type, {k: v for k, v in definition.args.items() if k not in varying})
        other = GraphQLField(definition.type, {k: v for k, v in definition.args.items() if k in varying})
        named = self.converter.config.name_converter.from_argument
        return Direct(
            key=key,
            parent=parent,
            definition=definition,
            field=field,
            nodes=list(nodes),
            plan=plan,
            fixed=_converted(get_argument_values(fixed, nodes[0]), field.arguments, self.converter),
            varying=other if varying else None,
            arguments=[argument for argument in field.arguments if named(argument) in varying],
        )


class Directs:
    """Those of one document, made when they are first needed."""

    def __init__(self, plans: Plans, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self.plans = plans
        self.fragments = fragments
        self._made: dict[tuple[Any, ...], Direct | None] = {}

    def find(self, caller: "Caller", operation: OperationDefinitionNode, variables: VariableValues) -> Direct:
        """What answers an operation with such variables.

        Raises:
            NotDirectError: the executor has to.
        """
        # The operation lives as long as the document, so its identity names it.
        key = (id(operation), *self.plans.chosen(variables.coerced))
        try:
            found = self._made[key]
        except KeyError:
            found = self._make(key, caller, operation, variables)
        if found is None:
            raise NotDirectError
        return found

    def _make(
        self, key: tuple[Any, ...], caller: "Caller", operation: OperationDefinitionNode, variables: VariableValues
    ) -> Direct | None:
        read = Operation(caller.schema, self.fragments, variables.coerced)
        if len(self._made) >= MAX_PLANS:
            self._made.clear()
        made = self._made[key] = caller.make(operation, read, self.plans)
        return made
