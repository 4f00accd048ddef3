"""Running one operation: what is checked before work is done for it, and graphql-core's executor with our plans."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from strawberry.execution import optimized_is_awaitable

from adapters.http.token_bucket import TokenBuckets
from graph.execution.ast_limits import check_ids
from graph.execution.document_cache import Document, Documents, RefusedDocumentError
from graph.execution.executor import CompiledExecutor
from graph.execution.http_error import HttpProblemError
from graph.execution.limit_error import LimitError
from graph.execution.persisted_queries import document_of
from graph.execution.request_params import Asked
from graph.execution.single_field import Caller, Known, NotDirectError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an operation, and what is told about its cost."""

    result: ExecutionResult
    cost: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Runs operations. `may_introspect` says who may read the schema."""

    schema: GraphQLSchema
    documents: Documents
    caller: Caller
    rate: TokenBuckets | None = None
    may_introspect: Callable[[Any], bool] = field(default=lambda _context: True)

    async def run(self, asked: Asked, context: Any, *, who: Hashable, only_reads: bool) -> Outcome:
        """Run what is asked for; `who` is whose rate it counts for.

        Raises:
            HttpProblemError: HTTP has a status of its own for what is wrong.
            RefusedDocumentError: it was not begun, for these errors.
        """
        document = self._read(asked, who)
        kind = document.operation(asked.operation_name).operation
        if only_reads and kind is OperationType.MUTATION:
            raise HttpProblemError(405, "METHOD_NOT_ALLOWED", "a GET is for queries alone", {"allow": "POST"})
        cost = self._admit(document, asked, context, who)
        return Outcome(await self._execute(document, asked, context), cost)

    def _read(self, asked: Asked, who: Hashable) -> Document:
        """The document that is asked for.

        To read one is most of the work, and one that is refused is read anew each time: it costs a point for each of
        its characters, or a full bucket. One that is kept costs what its fields do, and one that is beyond a limit was
        hardly looked at.
        """
        if self.rate is None or not asked.query or asked.query in self.documents:
            return document_of(asked, self.documents)
        price = min(len(asked.query), self.rate.capacity)
        _spend(self.rate, who, price)
        try:
            document = document_of(asked, self.documents)
        except RefusedDocumentError as refused:
            if isinstance(refused.errors[0], LimitError):
                self.rate.give(who, price)
            raise
        self.rate.give(who, price)
        return document

    def _admit(self, document: Document, asked: Asked, context: Any, who: Hashable) -> dict[str, int]:
        limits = self.documents.limits
        variables: Mapping[str, Any] = asked.variables or {}
        if document.survey.introspects and not self.may_introspect(context):
            raise _refused(GraphQLError("the schema is not shown to you", extensions={"code": "INTROSPECTION_REFUSED"}))
        cost = document.cost(document.operation(asked.operation_name), variables)
        if cost > limits.cost:
            raise _refused(LimitError("points of cost", cost, limits.cost))
        try:
            for name in document.survey.lists:
                check_ids(variables.get(name), limits)
        except LimitError as error:
            raise _refused(error) from error
        told = {"requested": cost, "limit": limits.cost}
        return told if self.rate is None else {**told, "available": _spend(self.rate, who, cost)}

    async def _execute(self, document: Document, asked: Asked, context: Any) -> ExecutionResult:
        seconds = self.documents.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._answer(document, asked, context)
        except TimeoutError as error:
            raise HttpProblemError(503, "TIMEOUT", f"it took longer than {seconds:g} s") from error

    async def _answer(self, document: Document, asked: Asked, context: Any) -> ExecutionResult:
        operation = document.operation(asked.operation_name)
        try:
            data = await self.caller.answer(document.node.directs, operation, asked.variables, context)
            return ExecutionResult(data, None)
        except NotDirectError as left:
            known = left.outcome
        # Outside of the handler: what the executor raises has no history of ours.
        return await self._completed(document, asked, context, known)

    async def _completed(self, document: Document, asked: Asked, context: Any, known: Known | None) -> ExecutionResult:
        executor = CompiledExecutor.build(
            self.schema,
            document.node,
            context_value=context,
            raw_variable_values=asked.variables,
            operation_name=asked.operation_name,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=not self.documents.suggestions,
            operation_extensions=asked.extensions,
        )
        if isinstance(executor, list):
            raise RefusedDocumentError(executor, document.node)
        if known is not None:
            executor.middleware_manager = known
        result: Any = executor.execute_operation()
        if optimized_is_awaitable(result):
            result = await result
        return result  # type: ignore[no-any-return]


def _spend(rate: TokenBuckets, who: Hashable, cost: int) -> int:
    if wait := rate.take(who, cost):
        message = f"too much was asked for at once: try again in {wait} s"
        raise HttpProblemError(429, "RATE_LIMITED", message, {"retry-after": str(wait)})
    return rate.left(who)


def _refused(error: GraphQLError) -> RefusedDocumentError:
    return RefusedDocumentError([error])
