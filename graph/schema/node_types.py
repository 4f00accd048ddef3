"""The two node types, `Recording` and `Account`, and the connection between them.

These types refer to one another in a circle, so they share one module. Their larger resolvers are in modules of their
own, which do not import this one. A resolver returns the row, object or page that the type reads its fields from.
"""

from typing import Any, cast

import strawberry
from strawberry import UNSET

from graph.execution.compiler import PlanInput
from graph.schema.audio_type import Media, resolve_media
from graph.schema.call_type import LiveCall
from graph.schema.camel_case import parameter_description
from graph.schema.enums import Direction, EndCause, Reason, State, StoredFormat
from graph.schema.field_info import Info
from graph.schema.global_id import Node
from graph.schema.item_page import ItemPage, load_page
from graph.schema.page_arguments import After, Before, First, Last, PageArguments
from graph.schema.policy_types import RecordingConsent, RecordingPolicyDecision
from graph.schema.quota_types import AccountQuota, AccountUsage, resolve_quota, resolve_usage
from graph.schema.recording_page import RecordingPage
from graph.schema.recording_parts import Delivery, Hold, RecordingOptions, Span
from graph.schema.recordings_field import resolve_recordings
from graph.schema.resolver_context import Context
from graph.schema.scalars import JSON, DateTime
from graph.schema.stats_field import resolve_stats
from graph.schema.stats_type import RecordingStats
from recordings.model import account as domain
from recordings.model.fields import RecordingRow
from recordings.rules.cursor import TimeList


async def _resolve_account(row: strawberry.Parent[RecordingRow], info: Info) -> Any:
    context = info.context
    return await context.recordings.account(context.principal, row["account_id"])


def modified_of(row: strawberry.Parent[RecordingRow]) -> Any:
    """Return when a row was last changed. The row of a mutation's result has only the time of this server."""
    return row["changed"] if "changed" in row else row["modified"]


@strawberry.type(description="One recording of one leg of a call.")
class Recording(Node):
    id: strawberry.ID = strawberry.field(name="plainId", description="The plain id, which the v2 REST API uses.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account that it belongs to.")
    account: "Account" = strawberry.field(resolver=_resolve_account, description="The account that it belongs to.")
    state: State = strawberry.field(description="The state of the recording.")
    reason: Reason | None = strawberry.field(
        description="The reason why the recording was discarded, failed or was lost."
    )
    reason_detail: str | None = strawberry.field(description="Details of the reason, as text for a person.")
    end_cause: EndCause | None = strawberry.field(description="The event that ended the audio.")
    start: DateTime = strawberry.field(
        description="The time at which the audio began. Until then, the time at which the recording was requested."
    )
    created: DateTime = strawberry.field(description="The time at which the recording was requested.")
    ended: DateTime | None = strawberry.field(
        description="The time at which the call ended or the recording failed. Null until then."
    )
    modified: DateTime = strawberry.field(
        resolver=modified_of, description="The time of the last change, by the clock of the database."
    )
    duration_ms: int | None = strawberry.field(
        description="The duration of the audio in milliseconds. Null until the service has measured it."
    )
    call_id: strawberry.ID = strawberry.field(
        description="The id of the recorded leg. A leg is one connection between the switch and a phone or another "
        "switch."
    )
    interaction_id: strawberry.ID | None = strawberry.field(
        description="The id of the conversation. All legs of one conversation have the same one."
    )
    cdr_id: strawberry.ID | None = strawberry.field(description="The id of the call detail record (CDR).")
    owner_id: strawberry.ID | None = strawberry.field(description="The id of the user that the call belonged to.")
    endpoint_id: strawberry.ID | None = strawberry.field(description="The id of the device that the call used.")
    from_: str = strawberry.field(name="from", description="The caller, as `user@realm`.")
    to: str = strawberry.field(description="The callee, as `user@realm`.")
    request: str | None = strawberry.field(
        description="The address in the SIP request of the call (the Request-URI), as reported by the switch."
    )
    direction: Direction | None = strawberry.field(description="The direction of the call.")
    caller_id_name: str | None = strawberry.field(description="The caller's name.")
    caller_id_number: str | None = strawberry.field(description="The caller's number.")
    callee_id_name: str | None = strawberry.field(description="The callee's name.")
    callee_id_number: str | None = strawberry.field(description="The callee's number.")
    origin: str = strawberry.field(description=parameter_description("origin"))
    label: str | None = strawberry.field(description=parameter_description("label"))
    name: str = strawberry.field(description="The name for display and download. It is never a path.")
    format: StoredFormat = strawberry.field(description="The format of the audio.")
    recorder: str = strawberry.field(
        description="The recorder that recorded the call: the part of the service that is connected to its switch."
    )
    node: str | None = strawberry.field(
        description="The name of the server that has audio of the recording outside the media store: during the call, "
        "and until the audio is stored."
    )
    options: RecordingOptions = strawberry.field(description="The options with which the recording was started.")
    spans: list[Span] = strawberry.field(
        description="The parts of the call that are not in the audio, in the order of time."
    )
    media: Media | None = strawberry.field(
        resolver=resolve_media, description="The stored audio. Null until it is stored."
    )
    delivery: Delivery | None = strawberry.field(
        description="The delivery to the recording's `url`. Null without a `url`, and until the audio is stored."
    )
    hold: Hold | None = strawberry.field(description="The legal hold on the recording. Null without a hold.")
    policy: RecordingPolicyDecision | None = strawberry.field(
        description="The policy that started the recording. Null if a client started it, or the switch sent it."
    )
    consent: RecordingConsent | None = strawberry.field(
        description="The consent of the parties. Null if the account needs none and no answer was reported."
    )
    delete_at: DateTime | None = strawberry.field(
        description="The time at which the retention policy moves the recording to the trash, unless it is on hold. "
        "Null if the recording is kept forever."
    )
    user_metadata: JSON = strawberry.field(description="The metadata that clients of the account set: a JSON object.")
    custom_channel_vars: JSON = strawberry.field(
        description="The variables that the switch attached to the call: a JSON object."
    )
    trashed_at: DateTime | None = strawberry.field(description="The time at which the recording was deleted.")
    trashed_by: str | None = strawberry.field(description="The name of the credentials that deleted the recording.")
    trashed_reason: str | None = strawberry.field(description="The reason given for the deletion.")
    purge_at: DateTime | None = strawberry.field(
        description="The time until which the deleted recording can be restored. Then it is permanently deleted."
    )
    revision: int = strawberry.field(description="The number of changes to the recording.")

    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return isinstance(source, dict)


AnyPage = RecordingPage | ItemPage


def _has_next(page: strawberry.Parent[AnyPage]) -> bool:
    return page.ends["hasNextPage"]


def _has_previous(page: strawberry.Parent[AnyPage]) -> bool:
    return page.ends["hasPreviousPage"]


@strawberry.type(
    description="The position of a page in its list. `hasNextPage` and `hasPreviousPage` are exact in both paging "
    "directions. Selecting one of them can take one more database query."
)
class PageInfo:
    has_next_page: bool = strawberry.field(
        resolver=_has_next, description="Whether the list has items after this page."
    )
    has_previous_page: bool = strawberry.field(
        resolver=_has_previous, description="Whether the list has items before this page."
    )
    start_cursor: str | None = strawberry.field(description="The cursor of the first item of the page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item of the page.")


def _cursor(edge: strawberry.Parent[Any]) -> str:
    return cast("str", edge[1])


def _node(edge: strawberry.Parent[Any]) -> Any:
    return edge[0]


@strawberry.type(description="A recording in a page, with its cursor.")
class RecordingEdge:
    cursor: str = strawberry.field(
        resolver=_cursor, description="The position of the recording in this order, for `after` and `before`."
    )
    node: Recording = strawberry.field(resolver=_node, description="The recording.")


def _edges(page: strawberry.Parent[RecordingPage]) -> Any:
    return PlanInput(page.edges)


def _nodes(page: strawberry.Parent[RecordingPage]) -> Any:
    return PlanInput(page.nodes)


def _page_info(page: strawberry.Parent[AnyPage]) -> Any:
    return page


async def _total_count(page: strawberry.Parent[RecordingPage]) -> int:
    if not page.counted:
        await page.count()
    return page.total()


async def _total_count_is_exact(page: strawberry.Parent[RecordingPage]) -> bool:
    if not page.counted:
        await page.count()
    return page.total_is_exact()


@strawberry.type(description="A page of recordings.")
class RecordingConnection:
    edges: list[RecordingEdge] = strawberry.field(
        resolver=_edges, description="The recordings of the page with their cursors."
    )
    nodes: list[Recording] = strawberry.field(resolver=_nodes, description="The recordings of the page.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description="The position of the page in the list.")
    total_count: int = strawberry.field(
        resolver=_total_count,
        description="The number of all recordings that match the filter. `totalCountIsExact` says whether it is exact. "
        "They are counted only if this is selected. With `first: 0`, a list returns this number alone.",
    )
    total_count_is_exact: bool = strawberry.field(
        resolver=_total_count_is_exact,
        description="Whether `totalCount` is the exact number. If false, the list has at least so many recordings.",
    )


def parent_id_of(account: domain.Account, context: Context) -> strawberry.ID | None:
    """Return the id of the parent account, or `None` if the caller cannot access it: it is above the caller's own."""
    if account.parent_id is None or account.id == context.principal.account_id:
        return None
    return strawberry.ID(account.parent_id)


def _resolve_parent_id(account: strawberry.Parent[domain.Account], info: Info) -> strawberry.ID | None:
    return parent_id_of(account, info.context)


async def _resolve_parent(account: strawberry.Parent[domain.Account], info: Info) -> Any:
    context = info.context
    parent_id = parent_id_of(account, context)
    if parent_id is None:
        return None
    # All accounts of one list have the same parent.
    found = context.accounts.get(parent_id) or await context.recordings.account(context.principal, parent_id)
    context.accounts[parent_id] = found
    return found


async def _resolve_children(
    account: strawberry.Parent[domain.Account],
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
) -> Any:
    principal, lists = info.context.principal, info.context.recordings.lists
    info.context.accounts[account.id] = account
    return await load_page(
        info,
        TimeList.ACCOUNTS,
        PageArguments.of(first, after, last, before),
        lambda request: lists.children(principal, account.id, request),
        lambda: lists.count_children(principal, account.id),
    )


async def _resolve_calls(
    account: strawberry.Parent[domain.Account],
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
) -> Any:
    principal, lists = info.context.principal, info.context.recordings.lists
    return await load_page(
        info,
        TimeList.CALLS,
        PageArguments.of(first, after, last, before),
        lambda request: lists.calls(principal, account.id, request),
        lambda: lists.count_calls(principal, account.id),
    )


async def _count_items(page: strawberry.Parent[ItemPage]) -> int:
    if not page.counted:
        await page.find_total()
    return page.total()


def _item_edges(page: strawberry.Parent[ItemPage]) -> Any:
    return page.edges


_PAGE_INFO = "The position of the page in the list."
_COUNTED = "They are counted only if this is selected."


@strawberry.type(description="A live call in a page, with its cursor.")
class LiveCallEdge:
    cursor: str = strawberry.field(resolver=_cursor, description="The position of the call, for `after` and `before`.")
    node: LiveCall = strawberry.field(resolver=_node, description="The live call.")


@strawberry.type(description="A page of live calls.")
class LiveCallConnection:
    edges: list[LiveCallEdge] = strawberry.field(
        resolver=_item_edges, description="The live calls of the page with their cursors."
    )
    nodes: list[LiveCall] = strawberry.field(description="The live calls of the page.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description=_PAGE_INFO)
    total_count: int = strawberry.field(resolver=_count_items, description=f"The number of all live calls. {_COUNTED}")


@strawberry.type(description="An account in a page, with its cursor.")
class AccountEdge:
    cursor: str = strawberry.field(
        resolver=_cursor, description="The position of the account, for `after` and `before`."
    )
    node: "Account" = strawberry.field(resolver=_node, description="The account.")


@strawberry.type(description="A page of accounts.")
class AccountConnection:
    edges: list[AccountEdge] = strawberry.field(
        resolver=_item_edges, description="The accounts of the page with their cursors."
    )
    nodes: list["Account"] = strawberry.field(description="The accounts of the page.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description=_PAGE_INFO)
    total_count: int = strawberry.field(resolver=_count_items, description=f"The number of all accounts. {_COUNTED}")


@strawberry.type(description="An account: a customer or a part of one. Accounts form a tree.")
class Account(Node):
    id: strawberry.ID = strawberry.field(name="plainId", description="The plain id, which the v2 REST API uses.")
    name: str = strawberry.field(description="The name of the account.")
    parent_id: strawberry.ID | None = strawberry.field(
        resolver=_resolve_parent_id,
        description="The plain id of the parent account. Null if the credentials cannot access it.",
    )
    parent: "Account | None" = strawberry.field(
        resolver=_resolve_parent,
        description="The parent account. Null if the credentials cannot access it.",
    )
    children: AccountConnection = strawberry.field(
        resolver=_resolve_children,
        description="The accounts directly below this account, oldest first.",
    )
    recordings: RecordingConnection = strawberry.field(
        resolver=resolve_recordings,
        description="The recordings of this account. With `descendants`, those of all accounts below it, too.",
    )
    recording_stats: RecordingStats = strawberry.field(
        resolver=resolve_stats, description="Figures of the recordings of this account."
    )
    quota: AccountQuota | None = strawberry.field(
        resolver=resolve_quota, description="The quotas of this account. Null for the credentials of one owner."
    )
    usage: AccountUsage | None = strawberry.field(
        resolver=resolve_usage, description="What this account uses. Null for the credentials of one owner."
    )
    calls: LiveCallConnection = strawberry.field(
        resolver=_resolve_calls,
        description="The calls in progress that can be recorded, newest first.",
    )

    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return isinstance(source, domain.Account)
