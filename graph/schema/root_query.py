"""What can be asked. Types are read from what the use cases give: rows, and the domain's own objects."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

import strawberry

from graph.execution.row_result import Plain
from graph.schema.account_type import Account, Viewer
from graph.schema.connection import RecordingConnection, resolve_recordings
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, RECORDING, Node, parse_id, plain
from graph.schema.prefetch import prepare_found
from graph.schema.projection import once, row_fields
from graph.schema.recording_type import Recording
from recordings.model.errors import InvalidInput, NotFound
from recordings.model.query import MAX_PAGE

RecordingId = Annotated[strawberry.ID, strawberry.argument(description="The global id, or the plain one.")]
AccountId = Annotated[strawberry.ID, strawberry.argument(description="The global id, or the plain one.")]
GlobalId = Annotated[strawberry.ID, strawberry.argument(description="The global id.")]
GlobalIds = Annotated[
    list[strawberry.ID], strawberry.argument(description=f"The global ids, at most {MAX_PAGE} of them.")
]


async def _resolve_recording(info: Info, id: RecordingId) -> Recording | None:
    row = (await _find(info, [plain(id, RECORDING)]))[0]
    return cast("Recording | None", Plain(row))


async def _resolve_node(info: Info, id: GlobalId) -> Node | None:
    found = (await _load(info, [parse_id(id, "id")]))[0]
    return cast("Node | None", Plain(found))


async def _resolve_nodes(info: Info, ids: GlobalIds) -> list[Node | None]:
    most = info.context.max_page
    if len(ids) > most:
        raise InvalidInput.of(("ids",), "maxItems", len(ids), f"at most {most} ids")
    found = await _load(info, [parse_id(text, "ids", str(index)) for index, text in enumerate(ids)])
    return cast("list[Node | None]", Plain(found))


async def _resolve_account(info: Info, id: AccountId) -> Account | None:
    return cast("Account | None", await _account(info, plain(id, ACCOUNT)))


def _resolve_viewer(info: Info) -> Viewer:
    return cast("Viewer", info.context.principal)


async def _load(info: Info, named: Sequence[tuple[str, str]]) -> list[Any]:
    wanted = [plain_id for type_name, plain_id in named if type_name == RECORDING]
    rows = dict(zip(wanted, await _find(info, wanted), strict=True)) if wanted else {}
    return [
        rows[plain_id] if type_name == RECORDING else await _account(info, plain_id) for type_name, plain_id in named
    ]


async def _find(info: Info, ids: Sequence[str]) -> list[Any]:
    context = info.context
    rows = list(await context.recordings.find_many(context.principal, ids, once(info, row_fields)))
    await prepare_found(info, rows)
    return rows


async def _account(info: Info, account_id: str) -> Any:
    try:
        return await info.context.recordings.account(info.context.principal, account_id)
    except NotFound:
        return None


@strawberry.type(description="What can be asked. All of it is seen with the eyes of the credentials that ask.")
class Query:
    recording: Recording | None = strawberry.field(
        resolver=_resolve_recording,
        description="A recording by its id, deleted ones included; null if there is none in reach.",
    )
    node: Node | None = strawberry.field(
        resolver=_resolve_node, description="Any object by its global id; null if there is none in reach."
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=_resolve_nodes,
        description="Objects by their global ids, in the order of the ids; null where there is none in reach.",
    )
    recordings: RecordingConnection = strawberry.field(
        resolver=resolve_recordings, description="The recordings of the account of the credentials."
    )
    account: Account | None = strawberry.field(
        resolver=_resolve_account,
        description="The account of the credentials or a descendant of it; null if it is out of reach.",
    )
    viewer: Viewer = strawberry.field(resolver=_resolve_viewer, description="Who is asking.")
