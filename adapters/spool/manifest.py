"""The manifest `take.json`. It describes the files of a take, so that a process can read them after a crash."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.spool.disk import write_atomically
from recordings.ports.audio import Codec, SpooledAudio, Track

NAME: Final = "take.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The names of the files of a take (left first) and their encoding. `sample_rate` is in Hz."""

    codec: Codec
    sample_rate: int
    tracks: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the manifest to the take's folder, atomically. It blocks."""
        values = {"codec": self.codec.value, "sample_rate": self.sample_rate, "tracks": list(self.tracks)}
        write_atomically(folder / NAME, json.dumps(values).encode())

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """Read the manifest in a folder. Return `None` if there is none. It blocks."""
        try:
            values = json.loads((folder / NAME).read_bytes())
        except FileNotFoundError:
            return None
        return cls(Codec(values["codec"]), values["sample_rate"], tuple(values["tracks"]))

    def audio(self, folder: Path) -> SpooledAudio | None:
        """Return the files that exist, or `None` if there are none. It blocks."""
        paths = [path for name in self.tracks if (path := folder / name).is_file()]
        if not paths:
            return None
        return SpooledAudio(tuple(Track(str(path), self.codec, self.sample_rate) for path in paths))
