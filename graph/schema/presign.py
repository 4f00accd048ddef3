"""Signing the media URLs of a page or a payload in one go, before the fields that show them are resolved."""

from collections.abc import Iterable

from graph.schema.resolver_context import Context
from recordings.model.account import Scope
from recordings.model.recording import Row


async def presign(context: Context, rows: Iterable[Row | None]) -> None:
    """Have the store's own URLs for the rows whose media somebody asks for, if the installation gives such URLs out."""
    if context.presign is not None and Scope.LISTEN in context.principal.scopes:
        asked = [row for row in rows if row is not None and "media" in row]
        context.presigned.update(await context.presign(asked))
