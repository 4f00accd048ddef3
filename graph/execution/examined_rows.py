"""The price of the rows that the store examines for lists whose filter no index serves."""

from dataclasses import dataclass
from typing import Final

from recordings.model.errors import QueryTooBroad

FREE: Final = 1_000
"""A list that examines at most so many rows costs only its fields."""
ROWS_PER_POINT: Final = 10
MAX_ROWS: Final = 100_000
"""The maximum number of rows that the lists of one document examine."""


@dataclass(slots=True)
class ExaminedRows:
    """The rows that the lists of one document may have examined."""

    rows: int = 0

    @property
    def points(self) -> int:
        """The price of the rows, in points of cost."""
        return self.rows // ROWS_PER_POINT

    def add(self, rows: int) -> None:
        """Add the rows of a list.

        Raises:
            QueryTooBroad: they are more than one document may examine.
        """
        if rows <= FREE:
            return
        self.rows += rows
        if self.rows > MAX_ROWS:
            message = (
                f"the lists of this document examine {self.rows:,} rows, at most {MAX_ROWS:,} are allowed: send lists "
                "with broad filters in several documents, or add conditions that few recordings meet"
            )
            raise QueryTooBroad(message, rows)
