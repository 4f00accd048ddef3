"""`take.json`: what the files of a take are, so that a process started after a crash can read them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.spool.disk import write_atomically
from recordings.ports.audio import Codec, SpooledAudio, Track

NAME: Final = "take.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a take by name, left first, and how their bytes are to be read. `sample_rate` in Hz."""

    codec: Codec
    sample_rate: int
    tracks: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Keep it in the take's folder, atomically. Blocks."""
        values = {"codec": self.codec.value, "sample_rate": self.sample_rate, "tracks": list(self.tracks)}
        write_atomically(folder / NAME, json.dumps(values).encode())

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The one in a folder, `None` if there is none. Blocks."""
        try:
            values = json.loads((folder / NAME).read_bytes())
        except FileNotFoundError:
            return None
        return cls(Codec(values["codec"]), values["sample_rate"], tuple(values["tracks"]))

    def audio(self, folder: Path) -> SpooledAudio | None:
        """Those of its files that are there; `None` if there is none. Blocks."""
        paths = [path for name in self.tracks if (path := folder / name).is_file()]
        if not paths:
            return None
        return SpooledAudio(tuple(Track(str(path), self.codec, self.sample_rate) for path in paths))
