"""The types of the audit trail. Their sources are entries of the domain."""

from dataclasses import dataclass
from typing import Any, cast

import strawberry

from graph.schema.audit_enums import AuditAction, AuditActorKind, AuditOutcome, AuditWay
from graph.schema.node_types import PageInfo
from graph.schema.scalars import JSON, DateTime


@strawberry.type(description="Who did it.")
class AuditActor:
    kind: AuditActorKind = strawberry.field(description="The kind of the credentials.")
    id: strawberry.ID = strawberry.field(
        description="The id of the actor: that of the user, the owner or the API key, or the `jti` of the token."
    )
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account of the credentials.")
    owner_id: strawberry.ID | None = strawberry.field(description="The owner that the credentials are limited to.")
    user_id: strawberry.ID | None = strawberry.field(description="The user who signed in.")
    key_id: strawberry.ID | None = strawberry.field(description="The API key of the request or of its token.")
    token_id: strawberry.ID | None = strawberry.field(description="The `jti` of the token.")
    name: str | None = strawberry.field(description="The name of the credentials.")


@strawberry.type(description="The object of the action.")
class AuditObject:
    type: str = strawberry.field(description="The type, such as `recording`, `recordings` (a list), `key` or `user`.")
    id: strawberry.ID | None = strawberry.field(description="The plain id. Null for a list.")
    account_id: strawberry.ID | None = strawberry.field(description="The plain id of its account.")


@strawberry.type(
    description="An entry of the audit trail. It contains no secret, and no number or name of a party of a call."
)
class AuditEntry:
    id: strawberry.ID = strawberry.field(description="The id of the entry.")
    at: DateTime = strawberry.field(description="The time.")
    account_id: strawberry.ID = strawberry.field(description="The account whose trail has the entry.")
    actor: AuditActor = strawberry.field(description="Who did it.")
    action: AuditAction = strawberry.field(description="The action.")
    object: AuditObject = strawberry.field(description="The object of the action.")
    way: AuditWay = strawberry.field(description="The way by which the request came.")
    ip: str | None = strawberry.field(description="The client's address.")
    user_agent: str | None = strawberry.field(description="The client's program, as it names itself.")
    request_id: str | None = strawberry.field(description="The id of the request, as in the log of the server.")
    outcome: AuditOutcome = strawberry.field(description="Whether it was done.")
    seconds: float | None = strawberry.field(
        description="Of a play or a download: the seconds of audio that were sent, each part once."
    )
    details: JSON = strawberry.field(
        description="Further facts: numbers of requests and rows, ranges of bytes, the reason of a refusal, the erased "
        "parts of a purge."
    )


def _cursor(edge: strawberry.Parent[Any]) -> str:
    return cast("str", edge["cursor"])


def _node(edge: strawberry.Parent[Any]) -> Any:
    return edge["node"]


@strawberry.type(description="An entry of the audit trail in a page, with its cursor.")
class AuditEntryEdge:
    cursor: str = strawberry.field(resolver=_cursor, description="The position of the entry, for `after`.")
    node: AuditEntry = strawberry.field(resolver=_node, description="The entry.")


@dataclass(frozen=True, slots=True)
class AuditPageSource:
    """The source of an `AuditEntryConnection`, and of its `PageInfo`. `rest` is the cursor before the older entries."""

    edges: list[dict[str, Any]]
    rest: str | None
    is_start: bool

    @property
    def nodes(self) -> list[Any]:
        """The entries."""
        return [edge["node"] for edge in self.edges]

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first entry, or `None` on an empty page."""
        return self.edges[0]["cursor"] if self.edges else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor after which the next page begins, or that of the last entry."""
        return self.rest or (self.edges[-1]["cursor"] if self.edges else None)

    @property
    def ends(self) -> dict[str, bool]:
        """The values of `hasNextPage` and `hasPreviousPage`."""
        return {"hasNextPage": self.rest is not None, "hasPreviousPage": not self.is_start}


def _page_info(page: strawberry.Parent[Any]) -> Any:
    return page


@strawberry.type(description="A page of the audit trail, newest first.")
class AuditEntryConnection:
    edges: list[AuditEntryEdge] = strawberry.field(description="The entries of the page with their cursors.")
    nodes: list[AuditEntry] = strawberry.field(description="The entries of the page.")
    page_info: PageInfo = strawberry.field(
        resolver=_page_info,
        description="The position of the page in the trail. A page with a filter examines a limited number of entries, "
        "so it can have fewer entries than `first`, or none, although older ones follow.",
    )
