"""The tables of rollups, and the triggers that mark a slot in the transaction that changes one of its recordings.

An insert marks its slot itself (`recording_table.note_inserted`).

A mark has a random version, so that a counter recognises a slot that changed while it was counted.
"""

# ruff: noqa: S608 - the names in these statements are constants

from typing import Final

from recordings.model.rollup import COUNTED, Level

MARKS: Final = "stats_marks"
PARTS: Final = "stats_parts"
_LENGTH: Final = Level.QUARTER.length
_COLUMNS: Final = ("account_id", "start", "media", *COUNTED)

_MARKS: Final = f"""
CREATE TABLE {MARKS} (
    level INTEGER NOT NULL,
    at INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (level, at, account_id)
) STRICT, WITHOUT ROWID
"""

_PARTS: Final = f"""
CREATE TABLE {PARTS} (
    account_id TEXT NOT NULL,
    -- The name of a cube, or of its histograms, or of the hours of its days.
    name TEXT NOT NULL,
    level INTEGER NOT NULL,
    at INTEGER NOT NULL,
    content BLOB,
    PRIMARY KEY (account_id, name, level, at)
) STRICT, WITHOUT ROWID
"""


def slot_of(start: str) -> str:
    """Return the expression for the start of the quarter-hour of an instant. SQLite's `%` rounds towards zero."""
    return f"{start} - (({start} % {_LENGTH}) + {_LENGTH}) % {_LENGTH}"


def mark(row: str) -> str:
    """Return the statement that marks the slot of a trigger's row."""
    return (
        f"INSERT INTO {MARKS} (level, at, account_id, version) "
        f"VALUES ({int(Level.QUARTER)}, {slot_of(f'{row}.start')}, {row}.account_id, random()) "
        "ON CONFLICT (level, at, account_id) DO UPDATE SET version = excluded.version;"
    )


MARK_SLOT: Final = (
    f"INSERT INTO {MARKS} (level, at, account_id, version) VALUES ({int(Level.QUARTER)}, ?, ?, random()) "
    "ON CONFLICT (level, at, account_id) DO UPDATE SET version = excluded.version"
)
"""Marks the quarter-hour of an inserted recording."""
_NAMES: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_CHANGED: Final = " OR ".join(f'OLD."{name}" IS NOT NEW."{name}"' for name in _COLUMNS)
MARK_EXISTING: Final = (
    f"INSERT INTO {MARKS} (level, at, account_id, version) "
    f"SELECT DISTINCT {int(Level.QUARTER)}, {slot_of('start')}, account_id, random() FROM recordings WHERE true "
    "ON CONFLICT (level, at, account_id) DO UPDATE SET version = excluded.version"
)

_MARK_UPDATED: Final = (
    f"CREATE TRIGGER stats_updated AFTER UPDATE OF {_NAMES} ON recordings WHEN {_CHANGED} "
    f"BEGIN {mark('OLD')} {mark('NEW')} END"
)
STATEMENTS: Final = (
    _MARKS,
    _PARTS,
    f"CREATE TRIGGER stats_inserted AFTER INSERT ON recordings BEGIN {mark('NEW')} END",
    f"CREATE TRIGGER stats_deleted AFTER DELETE ON recordings BEGIN {mark('OLD')} END",
    _MARK_UPDATED,
    # The recordings of earlier releases are counted in the background.
    MARK_EXISTING,
)
"""The migration step."""
MARK_DAYS: Final = (
    (
        f"INSERT INTO {MARKS} (level, at, account_id, version) "
        f"SELECT DISTINCT level, at, account_id, random() FROM {PARTS} WHERE level = {int(Level.DAY)} "
        "ON CONFLICT (level, at, account_id) DO UPDATE SET version = excluded.version"
    ),
)
"""The migration step that gives the days the cells of their hours."""
WITHOUT_INSERTS: Final = ("DROP TRIGGER stats_inserted",)
"""The migration step after which an insert marks its slot (`recording_table.note_inserted`)."""
