"""The execution of one operation, after the checks that must pass before any work is done for it."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType
from strawberry.execution import optimized_is_awaitable

from adapters.http.error_body import RETRY
from adapters.http.token_bucket import TokenBuckets
from graph.execution.ast_limits import check_ids
from graph.execution.document_cache import Document, DocumentCache
from graph.execution.executor import CompiledExecutor
from graph.execution.persisted_queries import find_document
from graph.execution.reading_turns import ReadingTurns
from graph.execution.request_errors import HttpError, LimitError, RefusedDocumentError, SubscriptionError
from graph.execution.request_params import RequestParams
from graph.execution.single_field import NeedsExecutorError, SingleFieldExecutor


@dataclass(frozen=True, slots=True)
class OperationResult:
    """The result of an operation, and its cost as the response reports it."""

    result: ExecutionResult
    cost: dict[str, int]


@dataclass(frozen=True, slots=True)
class FoundOperation:
    """The operation of a request, in its document."""

    params: RequestParams
    document: Document
    operation: OperationDefinitionNode

    @property
    def kind(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return self.operation.operation


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRunner:
    """Runs operations.

    - `may_introspect` decides by the context whether a caller may read the schema.
    - `observe_cost` is called with the cost of each operation that was run.
    """

    schema: GraphQLSchema
    documents: DocumentCache
    single_field: SingleFieldExecutor
    rate: TokenBuckets | None = None
    may_introspect: Callable[[Any], bool] = field(default=lambda _context: True)
    observe_cost: Callable[[int], None] | None = None
    turns: ReadingTurns = field(default_factory=ReadingTurns)

    async def run(self, params: RequestParams, context: Any, *, payer: Hashable, only_queries: bool) -> OperationResult:
        """Run a query or a mutation. `payer` is the key of the token bucket that pays its cost.

        Raises:
            HttpError: The error has an HTTP status of its own.
            RefusedDocumentError: The operation was not started.
        """
        found = await self.find(params, payer)
        if found.kind is OperationType.SUBSCRIPTION:
            raise SubscriptionError
        if only_queries and found.kind is OperationType.MUTATION:
            raise mutation_refused()
        return await self.run_found(found, context, payer)

    async def find(self, params: RequestParams, payer: Hashable) -> FoundOperation:
        """Find the document and the operation of a request. Raises as `run`."""
        document = await self._document(params, payer)
        return FoundOperation(params, document, document.operation(params.operation_name))

    async def run_found(self, found: FoundOperation, context: Any, payer: Hashable) -> OperationResult:
        """Run a query or a mutation. Raises as `run`."""
        cost = self.admit(found, context, payer)
        result = await self._execute(found, context)
        charged = self._with_rows(cost, context, payer)
        if self.observe_cost is not None:
            self.observe_cost(charged["requested"])
        return OperationResult(result, charged)

    def _with_rows(self, cost: dict[str, int], context: Any, payer: Hashable) -> dict[str, int]:
        """Charge for the rows that were examined. They are known only now, so the bucket may get a debt."""
        points: int = context.examined.points
        if not points:
            return cost
        charged = {**cost, "requested": cost["requested"] + points}
        return charged if self.rate is None else {**charged, "available": self.rate.charge(payer, points)}

    async def _document(self, params: RequestParams, payer: Hashable) -> Document:
        """Return the document of a request. One that is not in the cache is read in the caller's turn, and charged.

        Reading a text is most of the work of a request, and a rejected text is read again each time. So a rejected text
        costs one point for each character, up to a full bucket. A valid document costs only its fields. A text above a
        limit costs nothing, because little of it was read.
        """
        if not params.query or params.query in self.documents:
            self.turns.note_other_work()
            return find_document(params, self.documents)
        price = 0 if self.rate is None else min(len(params.query), self.rate.capacity)
        if self.rate is not None:
            _spend(self.rate, payer, price)
        is_paid = False
        try:
            return await self._read(params, payer)
        except RefusedDocumentError as refused:
            is_paid = not isinstance(refused.errors[0], LimitError)
            raise
        finally:
            if self.rate is not None and not is_paid:
                self.rate.give(payer, price)

    async def _read(self, params: RequestParams, payer: Hashable) -> Document:
        seconds = self.documents.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self.turns.read(payer, partial(find_document, params, self.documents))
        except TimeoutError as error:
            message = f"no turn within {seconds:g} s: there are too many new documents; send known ones, or try again"
            raise HttpError(429, "RATE_LIMITED", message, RETRY) from error

    def admit(self, found: FoundOperation, context: Any, payer: Hashable) -> dict[str, int]:
        """Check the limits that depend on variables, and charge the cost. Return the cost as the response reports it.

        Raises as `run`.
        """
        limits, document = self.documents.limits, found.document
        variables: Mapping[str, Any] = found.params.variables or {}
        if document.summary.introspects and not self.may_introspect(context):
            message = "these credentials may not read the schema"
            raise _refused(GraphQLError(message, extensions={"code": "INTROSPECTION_REFUSED"}))
        cost = document.cost(found.operation, variables)
        if cost > limits.cost:
            raise _refused(LimitError("points of cost", cost, limits.cost))
        try:
            for name in document.summary.id_variables:
                check_ids(variables.get(name), limits)
        except LimitError as error:
            raise _refused(error) from error
        report = {"requested": cost, "limit": limits.cost}
        return report if self.rate is None else {**report, "available": _spend(self.rate, payer, cost)}

    async def _execute(self, found: FoundOperation, context: Any) -> ExecutionResult:
        seconds = self.documents.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._result(found, context)
        except TimeoutError as error:
            if found.kind is OperationType.MUTATION:
                # A mutation asks for little data. It waited for a store, another server or a recorder.
                message = f"no result within {seconds:g} s: the mutation may have been done, so repeat it with its key"
                raise HttpError(503, "UNAVAILABLE", message, RETRY) from error
            message = f"the operation took longer than {seconds:g} s: ask for less data"
            raise HttpError(503, "TIMEOUT", message) from error

    async def _result(self, found: FoundOperation, context: Any) -> ExecutionResult:
        fields = found.document.node.single_fields
        try:
            data = await self.single_field.execute(fields, found.operation, found.params.variables, context)
            return ExecutionResult(data, None)
        except NeedsExecutorError as error:
            resolved = error.resolved
        # Outside the handler, so that the executor's exceptions do not have this one as their context.
        executor = self.executor(found, context)
        if resolved is not None:
            executor.middleware_manager = resolved
        result: Any = executor.execute_operation()
        if optimized_is_awaitable(result):
            result = await result
        return result  # type: ignore[no-any-return]

    def executor(self, found: FoundOperation, context: Any) -> Any:
        """Return graphql-core's executor of an operation. Raises `RefusedDocumentError`."""
        params = found.params
        executor = CompiledExecutor.build(
            self.schema,
            found.document.node,
            context_value=context,
            raw_variable_values=params.variables,
            operation_name=params.operation_name,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=not self.documents.suggestions,
            operation_extensions=params.extensions,
        )
        if isinstance(executor, list):
            raise RefusedDocumentError(executor, found.document.node)
        return executor


def mutation_refused() -> HttpError:
    """Return the error of a mutation in a GET request."""
    message = "a GET request may only send queries: send mutations with POST"
    return HttpError(405, "METHOD_NOT_ALLOWED", message, {"allow": "POST"})


def _spend(rate: TokenBuckets, payer: Hashable, cost: int) -> int:
    if wait := rate.take(payer, cost):
        message = f"rate limit exceeded: this request costs {cost} points; try again in {wait} s"
        raise HttpError(429, "RATE_LIMITED", message, {"retry-after": str(wait)})
    return rate.left(payer)


def _refused(error: GraphQLError) -> RefusedDocumentError:
    return RefusedDocumentError([error])
