"""The queries. Their resolvers return what the use cases return: rows, and objects of the domain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, cast

import strawberry

from graph.execution.compiler import PlanInput
from graph.schema.admin_fields import resolve_addresses, resolve_keys, resolve_rules, resolve_users
from graph.schema.admin_types import ApiKey, IngestAddress, RetentionRule, User
from graph.schema.audit_field import resolve_audit_log
from graph.schema.audit_types import AuditEntryConnection
from graph.schema.event_connection import RecordingEventConnection, resolve_events
from graph.schema.federation import Representation, Service, parse_representation, resolve_service
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, LIVE_CALL, RECORDING, Node, parse_id, plain
from graph.schema.list_page import Connection
from graph.schema.node_types import Account, Recording, RecordingConnection
from graph.schema.policy_fields import resolve_explanation, resolve_policy
from graph.schema.policy_types import RecordingPolicy, RecordingPolicyExplanation
from graph.schema.prefetch import prefetch_for_recordings
from graph.schema.projection import cached, row_fields
from graph.schema.recordings_field import resolve_recordings
from graph.schema.stats_field import resolve_stats
from graph.schema.stats_type import RecordingStats
from graph.schema.viewer_type import Viewer
from graph.schema.webhook_fields import resolve_webhook, resolve_webhooks
from graph.schema.webhook_types import Webhook
from recordings.model.errors import InvalidInput, NotFound
from recordings.model.query import MAX_PAGE

RecordingId = Annotated[strawberry.ID, strawberry.argument(description="The global id or the plain id.")]
AccountId = Annotated[strawberry.ID, strawberry.argument(description="The global id or the plain id.")]
GlobalId = Annotated[strawberry.ID, strawberry.argument(description="The global id.")]
GlobalIds = Annotated[list[strawberry.ID], strawberry.argument(description=f"The global ids, at most {MAX_PAGE}.")]
Representations = Annotated[
    list[Representation], strawberry.argument(description=f"References to the objects, at most {MAX_PAGE}.")
]
_FOR_ADMINISTRATORS: Final = "Needs the scope ADMIN, and credentials without an owner."
Id = tuple[str, str]
"""The type and the plain id of an object."""
Entity = Annotated[
    Recording | Account, strawberry.union("_Entity", description="An object that other subgraphs can refer to.")
]


async def _resolve_recording(info: Info, id: RecordingId) -> Recording | None:
    row = (await _find(info, [plain(id, RECORDING)]))[0]
    return cast("Recording | None", PlanInput(row))


async def _resolve_node(info: Info, id: GlobalId) -> Node | None:
    found = (await _load(info, [parse_id(id, "id")]))[0]
    return cast("Node | None", PlanInput(found))


async def _resolve_nodes(info: Info, ids: GlobalIds) -> list[Node | None]:
    _check_number(info, "ids", ids)
    found = await _load(info, _parsed(lambda text, index: parse_id(text, "ids", str(index)), ids))
    return cast("list[Node | None]", PlanInput(found))


async def _resolve_entities(info: Info, representations: Representations) -> list[Entity | None]:
    _check_number(info, "representations", representations)
    found = await _load(info, _parsed(parse_representation, representations))
    return cast("list[Entity | None]", PlanInput(found))


def _parsed(parse: Callable[[Any, int], Id], values: Iterable[Any]) -> list[Id | InvalidInput]:
    """Return the type and the plain id of each value. A malformed one has its error in its place."""
    found: list[Id | InvalidInput] = []
    for index, value in enumerate(values):
        try:
            found.append(parse(value, index))
        except InvalidInput as error:
            found.append(error)
    return found


def _check_number(info: Info, argument: str, values: Sequence[object]) -> None:
    if len(values) > info.context.max_page:
        raise InvalidInput.of((argument,), "maxItems", len(values), f"at most {info.context.max_page} ids")


async def _resolve_account(info: Info, id: AccountId) -> Account | None:
    return cast("Account | None", await _account(info, plain(id, ACCOUNT)))


def _resolve_viewer(info: Info) -> Viewer:
    return cast("Viewer", info.context.principal)


async def _load(info: Info, ids: Sequence[Id | InvalidInput]) -> list[Any]:
    """Return the objects of ids. An error stays in its place: then that item is null, and has this error."""
    recording_ids = [each[1] for each in ids if not isinstance(each, InvalidInput) and each[0] == RECORDING]
    rows = dict(zip(recording_ids, await _find(info, recording_ids), strict=True)) if recording_ids else {}
    return [each if isinstance(each, InvalidInput) else await _load_one(info, *each, rows) for each in ids]


async def _load_one(info: Info, type_name: str, plain_id: str, rows: Mapping[str, Any]) -> Any:
    return rows[plain_id] if type_name == RECORDING else await _LOADERS[type_name](info, plain_id)


async def _find(info: Info, ids: Sequence[str]) -> list[Any]:
    context = info.context
    rows = list(await context.recordings.find_many(context.principal, ids, cached(info, row_fields)))
    await prefetch_for_recordings(info, rows)
    return rows


async def _account(info: Info, account_id: str) -> Any:
    try:
        return await info.context.recordings.account(info.context.principal, account_id)
    except NotFound:
        return None


async def _call(info: Info, identity: str) -> Any:
    account_id, _, call_id = identity.partition(":")
    try:
        return await info.context.recordings.call(info.context.principal, call_id, account_id)
    except NotFound:
        return None


_LOADERS: Final = {ACCOUNT: _account, LIVE_CALL: _call}
"""The functions that load an object by its plain id, by type."""


@strawberry.type(
    description="The queries. Results are limited to what the credentials can access: their own account and its "
    "descendants, or only the recordings of one user (owner) if the credentials are limited to a user. Everything else "
    "looks as if it did not exist."
)
class Query:
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording,
        description="A recording by its id, also if it is in the trash. Null if it does not exist or the credentials "
        "cannot access it.",
    )
    node: Node | None = strawberry.field(
        resolver=_resolve_node,
        description="An object by its global id. Null if it does not exist or the credentials cannot access it.",
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=_resolve_nodes,
        description="Objects by their global ids, in the order of the ids. An item is null if the object does not "
        "exist or the credentials cannot access it. A malformed id gives null and an error for its item only.",
    )
    recordings: RecordingConnection = strawberry.field(
        resolver=resolve_recordings,
        description="The recordings of the account of the credentials. With `descendants`, those of all accounts below "
        "it, too.",
    )
    recording_stats: RecordingStats = strawberry.field(
        resolver=resolve_stats,
        description="Figures of the recordings of the account of the credentials. Credentials that are limited to a "
        "user get the figures of that user's recordings only.",
    )
    recording_events: RecordingEventConnection = strawberry.field(
        resolver=resolve_events,
        description="The changes of recordings since a place in the feed, oldest first: a client that continues with "
        "`cursor` misses none. Events of one recording are in order; those of different recordings nearly. With "
        "MongoDB, an event appears here some seconds after the change.",
    )
    account: Account | None = strawberry.field(
        resolver=_resolve_account,
        description="An account: that of the credentials, or a descendant of it. Null if it does not exist or the "
        "credentials cannot access it.",
    )
    recording_policy: RecordingPolicy | None = strawberry.field(
        resolver=resolve_policy,
        description="A recording policy. Null if the account or the device is unknown. Needs the scope READ.",
    )
    explain_recording_policy: RecordingPolicyExplanation = strawberry.field(
        resolver=resolve_explanation,
        description="Why a call is or is not recorded: a call in progress, or any call that you describe. Needs the "
        "scope READ.",
    )
    audit_log: AuditEntryConnection = strawberry.field(
        resolver=resolve_audit_log,
        description="The audit trail of the account of the credentials, or of an account below it, newest first. Needs "
        "the scope ADMIN, and credentials without an owner.",
    )
    webhook: Webhook | None = strawberry.field(
        resolver=resolve_webhook,
        description="A webhook by its id. Null if it does not exist or the credentials cannot access it. Needs the "
        "scope ADMIN, and credentials without an owner.",
    )
    webhooks: Connection[Webhook] = strawberry.field(
        resolver=resolve_webhooks,
        description="The webhooks of the account of the credentials, or of an account below it, oldest first. Needs "
        "the scope ADMIN, and credentials without an owner.",
    )
    users: Connection[User] = strawberry.field(
        resolver=resolve_users, description=f"The users of an account, oldest first. {_FOR_ADMINISTRATORS}"
    )
    api_keys: Connection[ApiKey] = strawberry.field(
        resolver=resolve_keys,
        description=f"The API keys of an account, also revoked ones, oldest first. {_FOR_ADMINISTRATORS}",
    )
    ingest_addresses: Connection[IngestAddress] = strawberry.field(
        resolver=resolve_addresses,
        description=f"The ingest addresses of an account, also revoked ones, oldest first. {_FOR_ADMINISTRATORS}",
    )
    retention_rules: list[RetentionRule] = strawberry.field(
        resolver=resolve_rules, description=f"How long an account's recordings are kept. {_FOR_ADMINISTRATORS}"
    )
    viewer: Viewer = strawberry.field(resolver=_resolve_viewer, description="The credentials of this request.")
    entities: list[Entity | None] = strawberry.field(
        name="_entities",
        resolver=_resolve_entities,
        description="Objects for a gateway of Apollo Federation, in the order of the references. An item is null if "
        "the object does not exist or the credentials cannot access it. A malformed reference gives null and an error "
        "for its item only.",
    )
    service: Service = strawberry.field(
        name="_service", resolver=resolve_service, description="The schema for a gateway of Apollo Federation."
    )
