"""The computed fields that a page computes in one go, for all of its rows: see `graph.execution.plan`.

Each gives just what the field's resolver gives, which is what answers wherever a page is not completed in one go.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graph.context import Context
from graph.execution.plan import Computed
from graph.schema.media import resolve_media, url_expires_of, url_of
from graph.schema.node import RECORDING, global_id
from graph.schema.recording import upload_url_of
from recordings.recording import Row


def _each(compute: Callable[[Row, Context], Any]) -> Computed:
    def column(rows: Sequence[Row], context: Context) -> list[Any]:
        return [compute(row, context) for row in rows]

    return column


COLUMNS: Final[Mapping[tuple[str, str], Computed]] = {
    ("Recording", "id"): _each(lambda row, _context: global_id(RECORDING, row["id"])),
    ("Recording", "media"): _each(lambda row, _context: resolve_media(row)),
    ("RecordingOptions", "url"): _each(upload_url_of),
    ("Media", "url"): _each(url_of),
    ("Media", "urlExpires"): _each(url_expires_of),
}
"""By GraphQL type and field name."""
