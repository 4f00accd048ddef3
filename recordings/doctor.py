"""Comparing what the metadata says with what the stores have."""

from dataclasses import dataclass

from recordings.instants import Millis


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store says of one object: where it is, its bytes, and when it was last written, if it knows."""

    url: str
    length: int
    modified: Millis | None
