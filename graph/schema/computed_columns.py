"""The computed fields that a page computes in one go, for all of its rows: see `graph.execution.compiler`.

Each gives just what the field's resolver gives, which is what answers wherever a page is not completed in one go.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final

from graph.execution.compiler import Computed, ComputedWith
from graph.schema.account_type import parent_id_of
from graph.schema.audio_type import peaks_of, resolve_media, url_as, url_expires_of, url_of
from graph.schema.global_id import ACCOUNT, RECORDING, global_id
from graph.schema.recording_page import Listing
from graph.schema.recording_type import upload_url_of
from graph.schema.resolver_context import Context
from recordings.model.account import Account
from recordings.model.recording import Row


def _all(compute: Callable[[Any], Any]) -> Computed:
    def column(sources: Sequence[Any], _context: Context) -> list[Any]:
        return list(map(compute, sources))

    return column


def _each(compute: Callable[[Any, Context], Any]) -> Computed:
    def column(rows: Sequence[Row], context: Context) -> list[Any]:
        return [compute(row, context) for row in rows]

    return column


COLUMNS: Final[Mapping[tuple[str, str], Computed]] = {
    ("RecordingConnection", "edges"): _all(attrgetter("edges")),
    ("RecordingConnection", "nodes"): _all(attrgetter("nodes")),
    ("RecordingConnection", "pageInfo"): lambda listings, _context: listings,
    ("PageInfo", "hasNextPage"): _all(lambda listing: listing.ends["hasNextPage"]),
    ("PageInfo", "hasPreviousPage"): _all(lambda listing: listing.ends["hasPreviousPage"]),
    ("PageInfo", "startCursor"): _all(attrgetter("start_cursor")),
    ("PageInfo", "endCursor"): _all(attrgetter("end_cursor")),
    ("RecordingEdge", "cursor"): _all(itemgetter(1)),
    ("RecordingEdge", "node"): _all(itemgetter(0)),
    ("RecordingConnection", "totalCount"): _all(lambda listing: listing.total()),
    ("Account", "id"): _all(lambda account: global_id(ACCOUNT, account.id)),
    ("Recording", "id"): _each(lambda row, _context: global_id(RECORDING, row["id"])),
    ("Account", "parentId"): _each(parent_id_of),
    ("Recording", "account"): _each(lambda row, context: context.accounts[row["account_id"]]),
    ("Recording", "media"): _each(lambda row, _context: resolve_media(row)),
    ("RecordingOptions", "url"): _each(upload_url_of),
    ("Media", "url"): _each(url_of),
    ("Media", "urlExpires"): _each(url_expires_of),
}
"""By GraphQL type and field name. What is fetched for them is fetched before: see `graph.schema.prefetch`."""


def _each_with(compute: Callable[[Row, Context, Any], Any], name: str) -> ComputedWith:
    def column(rows: Sequence[Row], context: Context, arguments: Mapping[str, Any]) -> list[Any]:
        given = arguments.get(name)
        return [compute(row, context, given) for row in rows]

    return column


COLUMNS_WITH: Final[Mapping[tuple[str, str], ComputedWith]] = {
    ("Media", "url"): _each_with(url_as, "format"),
    ("Media", "peaks"): _each_with(peaks_of, "pixels"),
}
"""Those of fields that are given an argument."""
SOURCES: Final[Mapping[str, type]] = {
    "RecordingConnection": Listing,
    "PageInfo": Listing,
    "RecordingEdge": tuple,
    "Recording": dict,
    "Account": Account,
}
"""What these types are read from. All that a recording's own check asks of its source is that it is a dict."""
MARKED: Final = frozenset({"node", "nodes", "recording", "recordings"})
"""The fields of the query type whose resolvers mark their results as plain."""
