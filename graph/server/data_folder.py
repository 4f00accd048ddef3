"""The entries of the data folder that this service did not make. They are left alone and named."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from graph.settings import Settings

_OWN: Final = re.compile(
    r"aside|clock(\.draft)?|delivery|import\.lock|media(\.installation)?|node|peers\.sqlite3(-shm|-wal)?|recordings\.sqlite3(-shm|-wal|-journal|\.closed)?"
    r"|renditions|reserve|seal\.lock|secret\.key|server\.lock|spool|work|workers|\.(node|secret\.key)\.[0-9a-f]{16}"
)


def foreign_entries(settings: Settings) -> Sequence[str]:
    """Return the paths of these entries, sorted. Files that the settings name are not among them."""
    media = unquote(urlsplit(settings.media).path) if (settings.media or "").startswith("file:") else settings.data
    named = [settings.key_file, settings.media_options, settings.graphql_trusted, Path(media)]
    used = [path.absolute() for path in named if path is not None]
    return [
        str(entry)
        for entry in sorted(settings.data.iterdir())
        if not _OWN.fullmatch(entry.name) and not any(path.is_relative_to(entry.absolute()) for path in used)
    ]
