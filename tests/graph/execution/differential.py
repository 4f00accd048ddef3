"""Compares plans with graphql-core: the same document on the same rows, with and without plans."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec
from graphql import ExecutionResult, execute, parse, validate
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.compiler import PlanInput
from graph.execution.document_cache import Document
from graph.execution.executor import CompiledExecutor
from graph.execution.request_errors import RefusedDocumentError
from graph.execution.request_limits import Limits
from graph.execution.request_params import RequestParams
from graph.execution.run_operation import OperationRunner
from graph.schema.build import Schema
from graph.schema.global_id import global_id
from graph.schema.resolver_context import Context
from recordings.model.account import DEFAULT_SCOPES, Principal, Scope
from recordings.model.recording import Media
from tests.graph.execution.queries import Made, QueryMaker
from tests.graph.execution.rows import CURSORS, GRANTS, RandomRecordings
from tests.support.fake_clock import FakeClock

UNLIMITED: Final = Limits(
    characters=10**6, tokens=10**5, nesting=200, depth=100, fields=10**5, aliases=10**4, directives=10**4,
    repeats=10**5, cost=10**30,
)  # fmt: skip
SCHEMA: Final = Schema(limits=UNLIMITED, suggestions=True, max_bytes=1 << 20)
OPERATIONS: Final = OperationRunner(schema=SCHEMA.core, documents=SCHEMA.documents, single_field=SCHEMA.single_field)
CALLS: Final = [global_id("LiveCall", f"a:{name}") for name in ("out", "gone", "x")]
ACCOUNTS: Final = [global_id("Account", "a"), global_id("Account", "b")]
ARGUMENTS: Final = {
    "first": ["1", "5", "100"],
    "after": ['"no cursor"', '"bz4"'],
    "filter": ["{}", "{state: {in: [STORED]}}", '{label: {equal: "a"}}'],
    "orderBy": ["{field: DURATION, direction: ASC}", "{field: CREATED, direction: DESC}"],
    "trashed": ["true", "null"],
    "descendants": ["true", "null"],
    "pixels": ["1", "7", "0"],
    "format": ["MP3", "null"],
    "id": ['"202611-x"', '"UmVjb3JkaW5nOjE="', *map(json.dumps, [*ACCOUNTS, *CALLS])],
    "ids": [
        "[]",
        '["UmVjb3JkaW5nOjE="]',
        json.dumps([global_id("Recording", "1"), *ACCOUNTS, "x"]),
        json.dumps(ACCOUNTS),
        json.dumps(CALLS),
    ],
}
CHANCES: Final = {
    "first": 0.95,
    "after": 0.05,
    "filter": 0.3,
    "orderBy": 0.3,
    "trashed": 0.3,
    "descendants": 0.2,
    "format": 0.5,
}
ROOTS: Final = ("recordings", "recordings", "recordings", "recording", "recording", "node", "nodes", "viewer")


class Reference(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's own execution. It only removes the mark of a marked result."""

    def complete_value(self, return_type: Any, details: Any, info: Any, path: Any, result: Any, place: Any) -> Any:
        value = result.value if type(result) is PlanInput else result
        return super().complete_value(return_type, details, info, path, value, place)


@dataclass
class Compared:
    """The result of a comparison: how many bails, errors, plans and prepared single fields it had."""

    bails: int
    errors: int
    plans: int
    single_fields: int


def context(random: Random, wrong: float) -> Context:
    scopes = random.choice([DEFAULT_SCOPES, frozenset({Scope.READ})])
    return Context(
        principal=Principal("a" * 32, frozenset(scopes), None, "tester"),
        recordings=RandomRecordings(random, wrong),  # type: ignore[arg-type]
        cursors=CURSORS,
        grants=GRANTS,
        clock=FakeClock(),
        locate=lambda: "http://api.test",
        media_ttl=1_000,
        draw=draw,
    )


async def draw(recording_id: str, media: Media, pixels: int, _account_id: str) -> dict[str, Any]:
    if pixels < 1:
        raise ValueError("a waveform needs at least one pixel")
    return {"of": recording_id, "data": [pixels, media.channels]}


async def run(executor: type[Any], node: Any, variables: dict[str, Any], caller: Context) -> ExecutionResult:
    result: Any = execute(
        SCHEMA._schema,
        node,
        context_value=caller,
        variable_values=variables,
        executor_class=executor,
        operation_extensions=None,
    )
    return result if isinstance(result, ExecutionResult) else await result


def visible(result: ExecutionResult, *, in_order: bool = True) -> tuple[Any, ...]:
    """Return everything that a client can see: the data, and the errors with their paths and locations, in order.

    If two non-null siblings fail, the response has only the error that comes first, because their parent becomes null.
    Which one comes first depends on timing (GraphQL specification, October 2021, 6.4.4). With `in_order=False` only the
    messages are compared.
    """
    try:
        data: Any = msgspec.json.encode(result.data)
    except (TypeError, ValueError, OverflowError) as error:
        data = repr(error)
    errors = result.errors or ()
    return data, [error.formatted for error in errors] if in_order else sorted(error.message for error in errors)


async def answer(made: Made, caller: Context) -> ExecutionResult:
    """Run it as the endpoint does."""
    params = RequestParams(query=made.text, variables=made.variables)
    try:
        outcome = await OPERATIONS.run(params, caller, payer=1, only_queries=False)
    except RefusedDocumentError as refused:
        return ExecutionResult(None, refused.errors)
    return outcome.result


async def compare(made: Made, caller: Context) -> Compared:
    """Execute it in all ways. Fail if the results differ."""
    document: Document = SCHEMA.documents.find(made.text)
    plain = parse(made.text)
    with_plans = await run(CompiledExecutor, document.node, made.variables, caller)
    reference = await run(Reference, plain, made.variables, caller)
    # Two failing counts can end in either order. No other error can.
    in_order = made.text.count("totalCount") < 2 or caller.recordings.is_counted  # type: ignore[attr-defined]
    expected = visible(reference, in_order=in_order)
    assert visible(with_plans, in_order=in_order) == expected, made
    assert visible(await answer(made, caller), in_order=in_order) == expected, made
    plans, fields = document.node.plans, document.node.single_fields
    return Compared(
        plans.bails,
        len(reference.errors or ()),
        sum(plan is not None for plan in plans._plans.values()),
        sum(field is not None for field in fields._fields.values()),
    )


def make(seed: int) -> tuple[Made, Context]:
    """Return a valid document and a context for it, from a seed."""
    random = Random(seed)
    while True:
        made = QueryMaker(SCHEMA._schema, random, ARGUMENTS, CHANCES).make(*ROOTS)
        if not validate(SCHEMA._schema, parse(made.text)):
            return made, context(random, random.choice([0.0, 0.0, 0.3, 0.7]))
