"""The results of an operation, one after the other, encoded as JSON. It knows no transport.

The document passes the same cache, limits, trusted documents and rate limit as over HTTP. A subscription pays its cost
when it begins. Each of its results then costs its fields, as a query for them would. If the points are used up, the
next result waits for them; meanwhile the bounded queue of the subscription fills.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from graphql import ExecutionResult, GraphQLError, OperationType, create_source_event_stream
from starlette.requests import HTTPConnection
from strawberry.execution import optimized_is_awaitable

from graph.execution.request_errors import HttpError, RefusedDocumentError
from graph.execution.request_params import RequestParams
from graph.execution.response import encode
from graph.execution.run_operation import FoundOperation, OperationRunner, mutation_refused
from graph.subscriptions.caller import Caller, http_url
from graph.subscriptions.result_variables import result_variables
from graph.subscriptions.shared_results import SharedResults, StreamedResult
from graph.subscriptions.stream_slots import StreamSlots
from recordings.model.account import Principal
from recordings.model.errors import Unauthenticated
from recordings.ports.recording_store import StoreUnavailableError

CHECK_SECONDS: Final = 2.0
"""How often credentials are checked again. With the time that a lookup is cached, this is less than five seconds."""
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 5.0


class OperationError(Exception):
    """The operation was not started, or a subscription ended early. `errors` are as a response shows them.

    `http` has the HTTP status and the headers of the error, if it has its own.
    """

    def __init__(self, errors: list[dict[str, Any]], http: HttpError | None = None) -> None:
        super().__init__("; ".join(error["message"] for error in errors))
        self.errors = errors
        self.http = http


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStreams:
    """Opens operations.

    - `authenticate`: returns the principal of credentials. It raises `Unauthenticated`.
    - `context`: returns the context of the resolvers for a principal and a base URL. A subscription begins at the
      cursor in the third argument, if there is one.
    - `payer`, `format_error` and `to_http_error`: see `graph.execution.endpoint`.
    - `request_id`: returns the id of a request.
    - `is_personal`: returns true if a result with this context names the credentials, as signed URLs do.
    - `subscription_cost`: the part of a subscription's cost that is paid only once.
    """

    operations: OperationRunner
    authenticate: Callable[[Mapping[str, str]], Awaitable[Principal]]
    context: Callable[[Principal, str, str | None], Any]
    payer: Callable[[Any], Hashable]
    request_id: Callable[[HTTPConnection], str]
    format_error: Callable[[GraphQLError, str], dict[str, Any]]
    to_http_error: Callable[[Exception, str], HttpError]
    is_personal: Callable[[Any], bool] = lambda _context: False
    subscription_cost: int = 0
    slots: StreamSlots = field(default_factory=StreamSlots)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    shared: SharedResults = field(default_factory=SharedResults)
    count_lost: Callable[[], None] = lambda: None
    """Called when a subscription reports lost events."""
    subscriptions: "set[ResultStream]" = field(default_factory=set)
    """The subscriptions that are open now."""

    async def caller(self, connection: HTTPConnection, credentials: Mapping[str, str] | None = None) -> Caller:
        """Return the caller on a connection, by these credentials; without any, by the headers of the connection.

        Raises:
            Unauthenticated: the credentials are missing or not valid.
        """
        headers = credentials or connection.headers
        principal = await self.authenticate(headers)
        return Caller(principal, headers, http_url(str(connection.base_url)), self.request_id(connection))

    async def end_of_access(self, caller: Caller) -> str:
        """Wait until the credentials of a caller are no longer valid, or have other rights. Return the reason."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if (reason := await self.lost_access(caller)) is not None:
                return reason

    async def lost_access(self, caller: Caller) -> str | None:
        """Return why the credentials of a caller are no longer valid; `None` if they are."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                principal = await self.authenticate(caller.headers)
        except Unauthenticated as error:
            return error.message
        except Exception:  # noqa: BLE001 - while the store is unavailable, the connection stays open
            return None
        return None if principal == caller.principal else "these credentials have changed"

    async def open(
        self, params: RequestParams, caller: Caller, since: str | None = None, *, no_mutations: bool = False
    ) -> "ResultStream":
        """Start an operation. A subscription begins at the cursor `since`, if it is given.

        Raises:
            OperationError: it is not valid, exceeds a limit, or cannot be started.
        """
        try:
            return await self._opened(params, caller, since, no_mutations=no_mutations)
        except Exception as error:
            raise self.as_operation_error(error, caller) from error

    async def _opened(
        self, params: RequestParams, caller: Caller, since: str | None, *, no_mutations: bool
    ) -> "ResultStream":
        context = self.context(caller.principal, caller.base_url, since)
        payer = self.payer(context)
        found = await self.operations.find(params, payer)
        if no_mutations and found.kind is OperationType.MUTATION:
            raise mutation_refused()
        if found.kind is not OperationType.SUBSCRIPTION:
            result = await self.operations.run_found(found, context, payer)
            return _OneResult(StreamedResult(self.encoded(result.result, caller, {"cost": result.cost})))
        executor = self.operations.executor(found, context)
        cost = self.operations.admit(found, context, payer)["requested"]
        source = await self._source(executor)
        return _Subscription(self, caller, found, executor, source, cost)

    async def _source(self, executor: Any) -> Any:
        """Return the source stream of a subscription."""
        seconds = self.operations.documents.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                source: Any = create_source_event_stream(executor)
                if optimized_is_awaitable(source):
                    source = await source
        except TimeoutError as error:
            message = f"the subscription did not begin within {seconds:g} s: try again"
            raise HttpError(503, "TIMEOUT", message) from error
        if isinstance(source, ExecutionResult):
            raise RefusedDocumentError(list(source.errors or ()))
        return source

    def encoded(self, result: ExecutionResult, caller: Caller, extensions: Mapping[str, Any] | None = None) -> bytes:
        """Return the JSON of an execution result."""
        content: dict[str, Any] = {"data": result.data}
        if result.errors:
            content["errors"] = [self.format_error(error, caller.request_id) for error in result.errors]
        if extensions:
            content["extensions"] = extensions
        return encode(content)

    def as_operation_error(self, error: Exception, caller: Caller) -> OperationError:
        """Return the error that a client gets for any exception. Details of an unexpected one are only logged."""
        if isinstance(error, OperationError):
            return error
        if isinstance(error, RefusedDocumentError):
            return OperationError([self.format_error(each, caller.request_id) for each in error.errors])
        if not isinstance(error, HttpError):
            error = self.to_http_error(error, caller.request_id)
        return OperationError([error.formatted(caller.request_id)], error)


class Outlet(Protocol):
    """A client that can get a result at once."""

    @property
    def is_ready(self) -> bool:
        """False if the client must read first, or if the operation has ended."""

    def send(self, result: StreamedResult) -> None:
        """Send a result, when the outlet is ready."""


class ResultStream(AsyncIterator[StreamedResult]):
    """The results of one operation. Close it with `aclose`."""

    def open_outlet(self, outlet: Outlet) -> None:
        """Send results to an outlet, while it is ready and `__anext__` waits for events.

        With many subscribers, this takes a fraction of the time: no task runs for each of them.
        """

    async def aclose(self) -> None:
        """End the operation."""


@runtime_checkable
class _Listenable(Protocol):
    """A source whose items can be taken as they happen."""

    def listen(self, listener: Callable[[], bool], /) -> None: ...

    @property
    def has_next(self) -> bool: ...

    def next_now(self) -> Any: ...

    def put_back(self) -> None: ...


class _OneResult(ResultStream):
    """The result of a query or a mutation."""

    def __init__(self, result: StreamedResult) -> None:
        self._results = iter((result,))

    async def __anext__(self) -> StreamedResult:
        try:
            return next(self._results)
        except StopIteration:
            raise StopAsyncIteration from None


class _Subscription(ResultStream):
    """The results of a subscription."""

    def __init__(
        self, streams: OperationStreams, caller: Caller, found: FoundOperation, executor: Any, source: Any, cost: int
    ) -> None:
        self._streams = streams
        self._caller = caller
        self._executor = executor
        self._source = source
        # The weight of a subscription is paid once.
        self._price = max(1, cost - streams.subscription_cost)
        self._payer = streams.payer(executor.context_value)
        self._outlet: Outlet | None = None
        principal = caller.principal
        key = (
            found.document,
            found.params.operation_name,
            encode(result_variables(found)),
            principal,
            caller.base_url,
        )
        self._group = streams.shared.group(key)
        self._own_group = streams.shared.group((*key, principal.token_id, principal.key_id, principal.user_id))
        streams.subscriptions.add(self)

    def open_outlet(self, outlet: Outlet) -> None:
        if isinstance(self._source, _Listenable):
            self._outlet = outlet
            self._source.listen(self._send_now)

    def _send_now(self) -> bool:
        """Send the waiting results to the outlet. Return false if `__anext__` must do it."""
        rate, outlet = self._streams.operations.rate, self._outlet
        while outlet is not None and outlet.is_ready and self._group.is_immediate:
            if not self._source.has_next:
                return True
            if rate is not None and rate.take(self._payer, self._price):
                break
            source = self._source.next_now()
            is_sent = source is not None and self._is_sent(source, outlet)
            if not is_sent and rate is not None:
                rate.give(self._payer, self._price)
            if not is_sent and source is not None:
                self._source.put_back()
                break
        return False

    def _is_sent(self, source: Any, outlet: Outlet) -> bool:
        """Make the result of a source, and send it. Return false if `__anext__` must do it."""
        try:
            result = self._streams.shared.get_now(self._group, self._own_group, source, self._made)
            if result is None:
                return False
            outlet.send(result)
        except Exception:  # noqa: BLE001 - `__anext__` meets the same error, and reports it
            return False
        if source.is_lost:
            self._streams.count_lost()
        return True

    async def __anext__(self) -> StreamedResult:
        try:
            source = await self._next_source()
            await self._pay()
            return await self._streams.shared.get(self._group, self._own_group, source, self._made)
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise self._streams.as_operation_error(error, self._caller) from error

    async def aclose(self) -> None:
        self._streams.subscriptions.discard(self)
        await self._source.aclose()

    async def _next_source(self) -> Any:
        wait = _FIRST_WAIT
        while True:
            try:
                source = await anext(self._source)
            except StoreUnavailableError:
                # The source continues at the same place later.
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                if source.is_lost:
                    self._streams.count_lost()
                return source

    async def _pay(self) -> None:
        rate = self._streams.operations.rate
        while rate is not None and (wait := rate.take(self._payer, self._price)):  # noqa: ASYNC110 - a bucket has no event
            await asyncio.sleep(wait)

    def _made(self, source: Any) -> StreamedResult | Awaitable[StreamedResult]:
        """Return the result of a source: at once, unless something must be read for it."""
        executor = self._executor.build_per_event_executor(source)
        # A new context for each result: the old one has the media URLs of an earlier time.
        executor.context_value = self._streams.context(self._caller.principal, self._caller.base_url, None)
        result = executor.execute_operation(serially=False)
        self._group.is_immediate = not optimized_is_awaitable(result)
        if not self._group.is_immediate:
            return self._read(source, result, executor.context_value)
        return self._encoded(source, result, executor.context_value)

    async def _read(self, source: Any, result: Awaitable[ExecutionResult], context: Any) -> StreamedResult:
        seconds = self._streams.operations.documents.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return self._encoded(source, await result, context)
        except TimeoutError:
            message = f"the result took longer than {seconds:g} s: select less data"
            error = GraphQLError(message, extensions={"code": "TIMEOUT"})
            return self._encoded(source, ExecutionResult(None, [error]), context)

    def _encoded(self, source: Any, result: ExecutionResult, context: Any) -> StreamedResult:
        is_shared = not result.errors
        if self._streams.is_personal(context) and not self._group.is_personal:
            # Until now, all subscribers of the principal were one group.
            self._group.is_personal, is_shared = True, False
        return StreamedResult(self._streams.encoded(result, self._caller), source.cursor, is_shared)
