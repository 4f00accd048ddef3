"""The media store's own signed URLs, fetched for all recordings of a response at once."""

from collections.abc import Iterable

from graph.schema.enums import Scope
from graph.schema.resolver_context import Context
from recordings.model.fields import RecordingRow


async def presign(context: Context, rows: Iterable[RecordingRow | None]) -> None:
    """Put the store's URLs for these rows into the context, if the installation uses them.

    Only rows that were read with their `media` are signed.
    """
    if context.presign is not None and Scope.LISTEN in context.principal.scopes:
        with_media = [row for row in rows if row is not None and "media" in row]
        context.presigned.update(await context.presign(context.principal, with_media))
