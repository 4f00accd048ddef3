"""The resolver of `auditLog`: a page of the audit trail."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graph.execution.compiler import PlanInput
from graph.schema.audit_enums import AuditAction, AuditOutcome
from graph.schema.audit_types import AuditPageSource
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, RECORDING, plain
from graph.schema.page_arguments import PageArguments
from graph.schema.partial_input import PartialInput, value_or_none
from graph.schema.scalars import DateTime
from recordings.model.audit_entry import AuditFilter
from recordings.model.query import MAX_DESCENDANTS, MAX_PAGE
from recordings.rules.cursor import TimeList
from recordings.use_cases.audit_log import TrailItem

First = Annotated[
    int, strawberry.argument(description=f"The number of entries to return: an integer from 1 to {MAX_PAGE}.")
]
After = Annotated[str | None, strawberry.argument(description="Return only entries after the entry with this cursor.")]
Descendants = Annotated[
    bool | None,
    strawberry.argument(
        description=f"Whether to list the entries of all accounts below, too: at most {MAX_DESCENDANTS} accounts."
    ),
]


@strawberry.input(description="Which entries of the audit trail to return. All given conditions must hold.")
class AuditLogFilter(PartialInput):
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The account: the own one (the default) or one below it."
    )
    actor_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Only this actor, by `AuditActor.id`.")
    action: list[AuditAction] | None = strawberry.field(default=UNSET, description="Only these actions.")
    object_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="Only this object: the global or the plain id of a recording, or the id of another."
    )
    outcome: AuditOutcome | None = strawberry.field(default=UNSET, description="Only this outcome.")
    gte: DateTime | None = strawberry.field(default=UNSET, description="At this time or later.")
    lt: DateTime | None = strawberry.field(default=UNSET, description="Earlier than this time.")


Filter = Annotated[AuditLogFilter | None, strawberry.argument(description="The conditions. Default: none.")]


async def resolve_audit_log(
    info: Info, first: First, after: After = UNSET, filter: Filter = UNSET, descendants: Descendants = False
) -> Any:
    """Return a page of the audit trail of an account, newest first."""
    context = info.context
    arguments = PageArguments(first, value_or_none(after), None, None)
    request = arguments.page_request(context.cursors, TimeList.AUDIT, None, context.max_page)
    wanted = _filter(value_or_none(filter) or AuditLogFilter(), context.principal.account_id)
    page = await context.audit.page(
        context.principal, wanted, request.limit, request.after, descendants=bool(descendants)
    )
    edges = [
        {"node": _node(item), "cursor": context.cursors.encode(TimeList.AUDIT, item.position)} for item in page.items
    ]
    rest = None if page.rest is None else context.cursors.encode(TimeList.AUDIT, page.rest)
    return PlanInput(AuditPageSource(edges, rest, is_start=request.after is None))


def _filter(given: AuditLogFilter, own_account: str) -> AuditFilter:
    account, object_id = value_or_none(given.account_id), value_or_none(given.object_id)
    return AuditFilter(
        account_id=own_account if account is None else plain(account, ACCOUNT),
        who=value_or_none(given.actor_id),
        actions=tuple(value_or_none(given.action) or ()),
        object_id=None if object_id is None else plain(object_id, RECORDING),
        outcome=value_or_none(given.outcome),
        since=value_or_none(given.gte),
        before=value_or_none(given.lt),
    )


def _node(item: TrailItem) -> Mapping[str, Any]:
    entry = item.entry
    return {
        "id": entry.id,
        "at": entry.at,
        "account_id": entry.account_id,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "way": entry.origin.way,
        "ip": entry.origin.ip,
        "user_agent": entry.origin.user_agent,
        "request_id": entry.origin.request_id,
        "outcome": entry.outcome,
        "seconds": entry.details.get("seconds") if "play" in entry.details else None,
        "details": dict(entry.details),
    }
