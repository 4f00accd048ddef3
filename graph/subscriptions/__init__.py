"""Operations with more than one result, for all transports: WebSockets, server-sent events, multipart responses.

A transport finds the caller, takes a slot for its connection, and opens each operation:

    caller = await streams.caller(connection)                      # Unauthenticated: no valid credentials
    with streams.slots.take(caller.principal):                     # TooManyStreamsError
        try:
            async with aclosing(await streams.open(params, caller)) as results:
                async for result in results:
                    result.body                                    # bytes: the JSON of one execution result
                    result.cursor                                  # the place behind it, if it has one
        except OperationError as error:                            # before the first result, or later
            error.errors                                           # the GraphQL errors, as a response shows them

A query or a mutation has one result, a subscription any number. `open(params, caller, since=cursor)` continues a
subscription at a place, whatever the `since` of its document is: for `Last-Event-ID`. Meanwhile the transport waits for
`await streams.end_of_access(caller)`, which returns the reason when the credentials are no longer valid, and for
`streams.stopping`, which is set when the server stops. In both cases it closes the connection.
"""

from graph.subscriptions.caller import Caller
from graph.subscriptions.operation_streams import OperationError, OperationStreams, ResultStream
from graph.subscriptions.shared_results import StreamedResult
from graph.subscriptions.stream_slots import StreamSlots, TooManyStreamsError

__all__ = [
    "Caller",
    "OperationError",
    "OperationStreams",
    "ResultStream",
    "StreamSlots",
    "StreamedResult",
    "TooManyStreamsError",
]
