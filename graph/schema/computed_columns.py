"""Functions that compute a field for all rows of a page at once: see `graph.execution.compiler`.

Each returns the same values as the field's resolver. The resolver is used where a page is not compiled.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final

from graph.execution.compiler import Computed, ComputedWith, Source
from graph.execution.raw_columns import RawEdges
from graph.schema.audio_type import damaged_of, peaks_of, resolve_media, url_expires_of, url_in_format, url_of
from graph.schema.global_id import ACCOUNT, LIVE_CALL, RECORDING, call_identity, global_id
from graph.schema.item_page import ItemPage
from graph.schema.node_types import modified_of, parent_id_of
from graph.schema.recording_page import RecordingPage
from graph.schema.recording_parts import delivery_url_of
from graph.schema.resolver_context import Context
from graph.schema.stats_type import duration_at
from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.fields import RecordingRow
from recordings.model.raw_rows import Form, Written
from recordings.model.stats import Figures, StatsResult, StatsRow


def _column(compute: Callable[[Any], Any]) -> Computed:
    def column(sources: Sequence[Any], _context: Context) -> list[Any]:
        return list(map(compute, sources))

    return column


def _column_with_context(compute: Callable[[Any, Context], Any]) -> Computed:
    def column(rows: Sequence[RecordingRow], context: Context) -> list[Any]:
        return [compute(row, context) for row in rows]

    return column


COLUMNS: Final[Mapping[tuple[str, str], Computed]] = {
    ("RecordingConnection", "edges"): _column(attrgetter("edges")),
    ("RecordingConnection", "nodes"): _column(attrgetter("nodes")),
    ("RecordingConnection", "pageInfo"): lambda pages, _context: pages,
    **{
        (f"{kind}Connection", name): column
        for kind in ("LiveCall", "Account")
        for name, column in (
            ("edges", _column(attrgetter("edges"))),
            ("pageInfo", lambda pages, _context: pages),
            ("totalCount", _column(lambda page: page.total())),
        )
    },
    ("LiveCallEdge", "cursor"): _column(itemgetter(1)),
    ("LiveCallEdge", "node"): _column(itemgetter(0)),
    ("AccountEdge", "cursor"): _column(itemgetter(1)),
    ("AccountEdge", "node"): _column(itemgetter(0)),
    ("PageInfo", "hasNextPage"): _column(lambda page: page.ends["hasNextPage"]),
    ("PageInfo", "hasPreviousPage"): _column(lambda page: page.ends["hasPreviousPage"]),
    ("PageInfo", "startCursor"): _column(attrgetter("start_cursor")),
    ("PageInfo", "endCursor"): _column(attrgetter("end_cursor")),
    ("RecordingEdge", "cursor"): lambda edges, _context: (
        edges.cursors if isinstance(edges, RawEdges) else list(map(itemgetter(1), edges))
    ),
    ("RecordingEdge", "node"): lambda edges, _context: (
        edges.rows if isinstance(edges, RawEdges) else list(map(itemgetter(0), edges))
    ),
    ("RecordingConnection", "totalCount"): _column(lambda page: page.total()),
    ("RecordingConnection", "totalCountIsExact"): _column(lambda page: page.total_is_exact()),
    ("LiveCall", "id"): _column(lambda call: global_id(LIVE_CALL, call_identity(call))),
    # The plain text: a plan checks the type of each value exactly.
    ("LiveCall", "direction"): _column(lambda call: call.direction and call.direction.value),
    ("LiveCall", "capabilities"): lambda calls, context: [
        [each.value for each in context.recordings.lists.capabilities_of(call)] for call in calls
    ],
    ("Account", "id"): _column(lambda account: global_id(ACCOUNT, account.id)),
    ("Recording", "id"): _column_with_context(lambda row, _context: global_id(RECORDING, row["id"])),
    ("Account", "parentId"): _column_with_context(parent_id_of),
    ("Recording", "account"): _column_with_context(lambda row, context: context.accounts[row["account_id"]]),
    ("Recording", "media"): _column_with_context(lambda row, _context: resolve_media(row)),
    ("RecordingOptions", "url"): _column_with_context(delivery_url_of),
    ("Media", "url"): _column_with_context(url_of),
    ("Media", "urlExpires"): _column_with_context(url_expires_of),
    ("Media", "damaged"): _column(damaged_of),
    ("Recording", "modified"): _column(modified_of),
    ("RecordingStats", "rows"): _column(attrgetter("rows")),
}
"""By GraphQL type and field name. `graph.schema.prefetch` fetches their data before."""


STORED: Final[Mapping[tuple[str, str], tuple[str, Written]]] = {
    ("Recording", "id"): ("id", Written(Form.BASE64, text=f"{RECORDING}:")),
    ("Recording", "modified"): ("changed", Written(Form.INSTANT)),
}
"""The row field of a computed field, and how a store writes it, for rows that the store encodes."""


def _column_with_argument(compute: Callable[[RecordingRow, Context, Any], Any], name: str) -> ComputedWith:
    def column(rows: Sequence[RecordingRow], context: Context, arguments: Mapping[str, Any]) -> list[Any]:
        argument = arguments.get(name)
        return [compute(row, context, argument) for row in rows]

    return column


def _durations(figures: Sequence[Any], _context: Context, arguments: Mapping[str, Any]) -> list[Any]:
    return [duration_at(each, arguments["percentile"]) for each in figures]


COLUMNS_WITH: Final[Mapping[tuple[str, str], ComputedWith]] = {
    ("Media", "url"): _column_with_argument(url_in_format, "format"),
    ("Media", "peaks"): _column_with_argument(peaks_of, "pixels"),
    ("RecordingFigures", "durationMs"): _durations,
    ("RecordingStatsRow", "durationMs"): _durations,
}
"""The functions of fields with an argument."""
SOURCES: Final[Mapping[str, Source]] = {
    "RecordingConnection": RecordingPage,
    "LiveCallConnection": ItemPage,
    "LiveCallEdge": tuple,
    "AccountConnection": ItemPage,
    "AccountEdge": tuple,
    "PageInfo": (RecordingPage, ItemPage),
    "RecordingEdge": tuple,
    "Recording": dict,
    "Account": Account,
    "LiveCall": Call,
    "RecordingStats": StatsResult,
    "RecordingStatsRow": StatsRow,
    "RecordingFigures": Figures,
}
"""The Python class or classes of each type's source. The `is_type_of` of these types checks nothing else."""
MARKED: Final = frozenset({"_entities", "node", "nodes", "recording", "recordingStats", "recordings"})
"""The fields of `Query` that return a `PlanInput`."""
