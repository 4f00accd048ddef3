"""The ASGI application at `/graphql`: GraphQL over HTTP, with one look-up from a request to its plans.

Nothing is streamed: each operation has one answer, and comes to its end in the time that it has. The operations of a
batch, where batches are taken, run one after the other, and their answers are one array in `application/json`.

What is no operation (GraphiQL's page, web sockets) goes to Strawberry's own view, `fallback`, which reads the same
documents and gives the same data and errors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.execution.content_negotiation import JSON, RESPONSE, answer_type, check_content_type, check_forgery
from graph.execution.document_cache import RefusedDocumentError
from graph.execution.http_error import HttpProblemError
from graph.execution.request_params import Asked, from_body, from_url
from graph.execution.response import Answer
from graph.execution.run_operation import Operations, Outcome

PARTIAL: Final = 294
"""The draft's status for data that is not all there, or null, beside errors.

For clients that ask for `application/graphql-response+json` alone: whoever does not goes by the status.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Answers requests.

    `context` says who asks and what for, `spender` whose rate it counts for, `show` how an error is shown to them, and
    `fault` what is answered to anything that any of them raises.
    `request_id` is the id shown with an error. `partial_status` and `compress` can be turned off.
    """

    operations: Operations
    context: Callable[[Request], Awaitable[Any]]
    spender: Callable[[Request], Hashable]
    show: Callable[[GraphQLError, Request], dict[str, Any]]
    fault: Callable[[Exception, Request], HttpProblemError]
    request_id: Callable[[Request], str]
    fallback: ASGIApp
    partial_status: bool = True
    compress: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.fallback(scope, receive, send)
            return
        request = Request(scope)
        if _is_page(request):
            await self.fallback(scope, receive, send)
            return
        answer = await self._told(request, self._answer(request, receive))
        await answer.send(send, request.headers.get("accept-encoding") if self.compress else None)

    async def _told(self, request: Request, answer: Awaitable[Answer]) -> Answer:
        """This answer, or what is wrong where there is none."""
        try:
            return await answer
        except HttpProblemError as problem:
            return Answer.of_problem(problem, JSON, self.request_id(request))
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever made the context knows what to say
            return Answer.of_problem(self.fault(error, request), JSON, self.request_id(request))

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        media_type = answer_type(request.headers.get("accept"))
        check_method(request)
        context = await self.context(request)
        if request.method == "GET":
            return await self._run(request, from_url(request.scope["query_string"]), context, media_type)
        limits = self.operations.documents.limits
        asked = from_body(await read_body(request, receive, limits.body), limits.batch)
        if isinstance(asked, list):
            return await self._each(request, asked)
        return await self._run(request, asked, context, media_type)

    async def _each(self, request: Request, batch: list[Asked]) -> Answer:
        """The answers to a batch, in its order. What is wrong with one is told in its place and stops none of them."""
        answers: list[Answer] = []
        for asked in batch:
            answers.append(await self._told(request, self._alone(request, asked)))
            # Other requests have their turn between two of them, whether or not they waited for anything.
            await asyncio.sleep(0)
        return Answer.of_batch(answers, JSON)

    async def _alone(self, request: Request, asked: Asked) -> Answer:
        # With a context of its own: what was fetched for one is let go of, and may be old for the next.
        return await self._run(request, asked, await self.context(request), JSON)

    async def _run(self, request: Request, asked: Asked, context: Any, media_type: str) -> Answer:
        reading = request.method == "GET"
        try:
            outcome = await self.operations.run(asked, context, who=self.spender(request), only_reads=reading)
        except RefusedDocumentError as refused:
            errors = [self.show(error, request) for error in refused.errors]
            # Older clients take any other status for a broken connection, so application/json is always 200.
            status, shown_as = (400, RESPONSE) if media_type == RESPONSE else (200, JSON)
            return Answer.of(status, {"errors": errors}, shown_as)
        answer = self._shown(outcome, request, media_type)
        return answer.revalidated(request.headers.get("if-none-match")) if reading else answer

    def _shown(self, outcome: Outcome, request: Request, media_type: str) -> Answer:
        result = outcome.result
        content: dict[str, Any] = {"data": result.data}
        if result.errors:
            content["errors"] = [self.show(error, request) for error in result.errors]
        content["extensions"] = {"cost": outcome.cost}
        partial = result.errors and media_type == RESPONSE and self.partial_status
        return Answer.of(PARTIAL if partial else 200, content, media_type)


def check_method(request: Request) -> None:
    """Refuse a request by its method, and by what a page of another site could have sent.

    Raises:
        HttpProblemError: it is refused.
    """
    if request.method == "POST":
        check_content_type(request.headers.get("content-type"))
    elif request.method == "GET":
        check_forgery(request.headers)
    else:
        raise HttpProblemError(405, "METHOD_NOT_ALLOWED", "GET and POST are taken", {"allow": "GET, POST"})


async def read_body(request: Request, receive: Receive, most: int) -> bytes:
    """The body of a request.

    Raises:
        HttpProblemError: it is longer than that.
        ClientDisconnect: it never came to its end.
    """
    body = bytearray()
    announced = request.headers.get("content-length", "")
    too_long = announced.isdecimal() and int(announced) > most
    while not too_long:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        too_long = len(body) > most
        if not message.get("more_body", False):
            break
    if too_long:
        raise HttpProblemError(413, "PAYLOAD_TOO_LARGE", f"the body must be at most {most} bytes")
    return bytes(body)


def _is_page(request: Request) -> bool:
    # Just what the view goes by: what has a query is never left to it unseen.
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    return wants_page and "query" not in request.query_params
