"""What some fields need beside the rows: fetched for all recordings of an answer in one go, before it is completed.

Only what the answer shows is fetched. A field finds what was fetched for it in the context; where there is nothing (a
directive that nobody here knows, a refusal), its resolver fetches for itself, and reports.
"""

from asyncio import gather
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from graphql import FieldNode, GraphQLError, GraphQLObjectType, get_named_type

from graph.execution.collect_fields import NotCompiledError, Operation, arguments_of
from graph.schema.audio_type import draw, resolve_media
from graph.schema.field_info import Info
from graph.schema.presign import presign
from graph.schema.projection import names_at, once
from recordings.model.errors import Refused
from recordings.model.recording import Row

Path = tuple[str, ...]
_FETCHED: Final = frozenset({"account", "peaks"})
_PAGE: Final = (("nodes",), ("edges", "node"))
_ITSELF: Final = ((),)


async def prepare_page(info: Info, rows: Sequence[Row]) -> None:
    """Fetch what is asked for beside the rows of a connection."""
    await presign(info.context, rows)
    if asked := once(info, _asked_of_page):
        await _fetch(info, rows, _PAGE, asked)


async def prepare_found(info: Info, rows: Sequence[Row | None]) -> None:
    """Fetch what is asked for beside rows that the field itself gives."""
    await presign(info.context, rows)
    if asked := once(info, _asked_of_found):
        await _fetch(info, [row for row in rows if row is not None], _ITSELF, asked)


def shows(info: Info, kind: str, *path: str) -> bool:
    """Whether the answer has a field at a path below this one, which is of a type."""
    return any(True for _ in _shown(info, kind, path))


def _asked(*paths: Path) -> Callable[[Info], frozenset[str]]:
    return lambda info: names_at(info, *paths, *((*path, "media") for path in paths)) & _FETCHED


_asked_of_page: Final = _asked(*_PAGE)
_asked_of_found: Final = _asked(*_ITSELF)


async def _fetch(info: Info, rows: Sequence[Row], paths: Sequence[Path], asked: frozenset[str]) -> None:
    kind = "RecordingConnection" if paths is _PAGE else "Recording"
    if "account" in asked and any(shows(info, kind, *path, "account") for path in paths):
        await _accounts(info, rows)
    if "peaks" in asked:
        shown = [nodes for path in paths for nodes in _shown(info, kind, (*path, "media", "peaks"))]
        await _draw(info, rows, shown)


async def _accounts(info: Info, rows: Sequence[Row]) -> None:
    context = info.context
    for account_id in {row["account_id"] for row in rows}:
        with suppress(Refused):
            context.accounts[account_id] = await context.recordings.account(context.principal, account_id)


async def _draw(info: Info, rows: Sequence[Row], shown: Sequence[Sequence[FieldNode]]) -> None:
    media = [resolve_media(row) for row in rows if row["media"] is not None]
    for pixels in {_pixels(info, nodes[0]) for nodes in shown} - {None}:
        await gather(*(draw(source, info.context, cast("int", pixels)) for source in media))


def _pixels(info: Info, node: FieldNode) -> int | None:
    definition = cast("GraphQLObjectType", info.core_schema.get_type("Media")).fields["peaks"]
    with suppress(GraphQLError):
        return cast("int", arguments_of(definition, node, info.variable_values)["pixels"])
    return None


def _shown(info: Info, kind: str, path: Path) -> Iterator[Sequence[FieldNode]]:
    operation = Operation(info.core_schema, info.fragments, info.variable_values)
    with suppress(NotCompiledError):
        yield from _below(operation, info.core_schema.get_type(kind), info.field_nodes, path)


def _below(operation: Operation, kind: Any, nodes: Sequence[FieldNode], path: Path) -> Iterator[Sequence[FieldNode]]:
    for found in operation.fields_of(kind, nodes).values():
        if found[0].name.value == path[0]:
            if len(path) == 1:
                yield found
            else:
                yield from _below(operation, get_named_type(kind.fields[path[0]].type), found, path[1:])
