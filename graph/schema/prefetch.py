"""Prefetching: accounts, waveforms and signed URLs, fetched for all recordings of a response at once.

Only selected fields are fetched. Their resolvers find the results in the context. If a result is missing (the document
has an unknown directive, or the fetch was refused), the resolver fetches it itself and reports the error.
"""

from asyncio import gather
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from graphql import FieldNode, GraphQLError, GraphQLObjectType, get_named_type

from graph.execution.collect_fields import FieldCollector, NotCompiledError, arguments_of
from graph.schema.audio_type import draw_waveform, resolve_media
from graph.schema.field_info import Info
from graph.schema.presign import presign
from graph.schema.projection import cached, names_at
from recordings.model.errors import Refused
from recordings.model.fields import RecordingRow

Path = tuple[str, ...]
_PREFETCHED: Final = frozenset({"account", "peaks", "url"})
_PAGE: Final = (("nodes",), ("edges", "node"))
"""The paths from a connection to its recordings."""
_ITSELF: Final = ((),)
"""The path of a field that returns recordings directly."""


async def prefetch_for_page(info: Info, rows: Sequence[RecordingRow]) -> None:
    """Fetch the selected results for the rows of a connection."""
    if selected := cached(info, _selected_in_page):
        await _fetch(info, rows, _PAGE, selected)


async def prefetch_for_recordings(info: Info, rows: Sequence[RecordingRow | None]) -> None:
    """Fetch the selected results for the rows that the field itself returns."""
    if selected := cached(info, _selected_directly):
        await _fetch(info, [row for row in rows if row is not None], _ITSELF, selected)


def needs_prefetch(info: Info) -> bool:
    """Return true if `prefetch_for_recordings` has something to fetch."""
    return bool(cached(info, _selected_directly))


def is_included(info: Info, type_name: str, *path: str) -> bool:
    """Return whether the response will have the field at this path below the field, which is of this type.

    Unlike `is_selected`, this applies `@skip` and `@include`.
    """
    return any(True for _ in _included(info, type_name, path))


def _selected(*paths: Path) -> Callable[[Info], frozenset[str]]:
    return lambda info: names_at(info, *paths, *((*path, "media") for path in paths)) & _PREFETCHED


_selected_in_page: Final = _selected(*_PAGE)
_selected_directly: Final = _selected(*_ITSELF)


async def _fetch(info: Info, rows: Sequence[RecordingRow], paths: Sequence[Path], selected: frozenset[str]) -> None:
    type_name = "RecordingConnection" if paths is _PAGE else "Recording"
    if "url" in selected:
        await presign(info.context, rows)
    if "account" in selected and any(is_included(info, type_name, *path, "account") for path in paths):
        await _fetch_accounts(info, rows)
    if "peaks" in selected:
        included = [nodes for path in paths for nodes in _included(info, type_name, (*path, "media", "peaks"))]
        await _draw_waveforms(info, rows, included)


async def _fetch_accounts(info: Info, rows: Sequence[RecordingRow]) -> None:
    context = info.context
    for account_id in {row["account_id"] for row in rows}:
        with suppress(Refused):
            context.accounts[account_id] = await context.recordings.account(context.principal, account_id)


async def _draw_waveforms(info: Info, rows: Sequence[RecordingRow], included: Sequence[Sequence[FieldNode]]) -> None:
    media = [resolve_media(row) for row in rows if row["media"] is not None]
    for pixels in {_pixels(info, nodes[0]) for nodes in included} - {None}:
        await gather(*(draw_waveform(source, info.context, cast("int", pixels)) for source in media))


def _pixels(info: Info, node: FieldNode) -> int | None:
    definition = cast("GraphQLObjectType", info.core_schema.get_type("Media")).fields["peaks"]
    with suppress(GraphQLError):
        return cast("int", arguments_of(definition, node, info.variable_values)["pixels"])
    return None


def _included(info: Info, type_name: str, path: Path) -> Iterator[Sequence[FieldNode]]:
    collector = FieldCollector(info.core_schema, info.fragments, info.variable_values)
    with suppress(NotCompiledError):
        yield from _below(collector, info.core_schema.get_type(type_name), info.field_nodes, path)


def _below(
    collector: FieldCollector, parent: Any, nodes: Sequence[FieldNode], path: Path
) -> Iterator[Sequence[FieldNode]]:
    for found in collector.fields_below(parent, nodes).values():
        if found[0].name.value == path[0]:
            if len(path) == 1:
                yield found
            else:
                yield from _below(collector, get_named_type(parent.fields[path[0]].type), found, path[1:])
