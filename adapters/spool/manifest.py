"""The manifest `take.json`. It describes the files of a take, so that a process can read them after a crash."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from adapters.spool.disk import write_atomically
from recordings.model.ids import check_file_name
from recordings.ports.audio import Codec, SpoolDamaged, SpooledAudio, Track

NAME: Final = "take.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The names of the files of a take (left first) and their encoding. `sample_rate` is in Hz."""

    codec: Codec
    sample_rate: int
    tracks: tuple[str, ...]

    def write(self, folder: Path, *, sync: bool = True) -> None:
        """Write the manifest to the take's folder, atomically. It blocks. Without `sync`, the caller syncs it."""
        values = {"codec": self.codec.value, "sample_rate": self.sample_rate, "tracks": list(self.tracks)}
        write_atomically(folder / NAME, json.dumps(values).encode(), sync=sync)

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """Read the manifest in a folder. Return `None` if there is none. It blocks.

        Raises:
            SpoolDamaged: the manifest is damaged.
        """
        path = folder / NAME
        try:
            return cls._of(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (IsADirectoryError, ValueError, KeyError, TypeError, RecursionError) as error:
            message = f"the description of its audio, {NAME}, is damaged: {str(error)[:200] or type(error).__name__}"
            raise SpoolDamaged(message) from error

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> "Manifest":
        codec, rate, tracks = Codec(values["codec"]), values["sample_rate"], values["tracks"]
        is_number = isinstance(rate, int) and not isinstance(rate, bool)
        if not is_number or rate < 0 or (codec is not Codec.CONTAINER and not rate):
            message = f"the sampling rate is {rate!r}"
            raise ValueError(message)
        if not isinstance(tracks, list) or not tracks:
            message = f"the tracks are {tracks!r}"
            raise ValueError(message)
        return cls(codec, rate, tuple(map(check_file_name, tracks)))

    def audio(self, folder: Path) -> SpooledAudio | None:
        """Return the files that exist, or `None` if there are none. It blocks."""
        paths = [path for name in self.tracks if (path := folder / name).is_file()]
        if not paths:
            return None
        return SpooledAudio(tuple(Track(str(path), self.codec, self.sample_rate) for path in paths))
