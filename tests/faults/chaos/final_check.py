"""The checks at the end of a chaos run: the ledger, the metadata, the media store and the disks must agree."""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import httpx

from graph.services import Services
from recordings.model.recording import Reason, Recording, State
from tests.e2e.server import command
from tests.faults.chaos.chaos_installation import ChaosInstallation
from tests.faults.chaos.ledger import Entry, Ledger
from tests.faults.chaos.traffic import AUDIO_MS

QUIET_SECONDS: Final = 300.0
_PAGE: Final = 1_000
_SHORTEST_CALL: Final = 1.0
"""Seconds. A shorter call may have no audio that is on the disk when its server is killed."""
_GONE: Final = frozenset({State.TRASHED, State.PURGED})


class FinalCheck:
    """Compares the ledger of a run with its installation."""

    def __init__(self, installation: ChaosInstallation, ledger: Ledger) -> None:
        self._installation = installation
        self._ledger = ledger
        self.found: Mapping[str, Recording] = {}
        self.quiet_after: float | None = None

    def violations(self) -> list[str]:
        """Wait until no work is left, and return all violations."""
        result = list(self._wait())
        for check in (self._uploads, self._copies, self._deletions, self._holds, self._calls, self._audio, self._files):
            result += check()
        return result

    def states(self) -> Counter[str]:
        """Return the number of recordings in each state, with the reason."""
        return Counter(
            f"{each.state}({each.reason})" if each.reason else str(each.state) for each in self.found.values()
        )

    def _wait(self) -> Iterator[str]:
        began = time.monotonic()
        while True:
            self.found = {each.id: each for each in self._installation.with_services(_all_recordings)}
            unfinished = [each for each in self.found.values() if _is_unfinished(each)]
            files = self._spooled()
            if not unfinished and not files:
                self.quiet_after = time.monotonic() - began
                return
            if time.monotonic() - began > QUIET_SECONDS:
                break
            time.sleep(1)
        for each in unfinished:
            yield f"{each.id} is stuck in {each.state}: due at {each.due_at}, lease {each.lease}, node {each.node}"
        for name in files:
            yield f"the spool still has {name}"

    def _spooled(self) -> list[str]:
        folders = [server.server.data / "spool" for server in self._installation.servers]
        return [
            str(path.relative_to(folder.parents[1]))
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
        ]

    def _changed(self, act: str) -> set[str]:
        """Return the recordings for which an action was requested. Its response may have been lost."""
        return {entry.recording_id for entry in self._ledger.of(f"{act} sent")}

    def _uploads(self) -> Iterator[str]:
        deleted = self._changed("delete")
        stored: dict[str, list[Recording]] = defaultdict(list)
        for each in self.found.values():
            if each.state is State.STORED and each.media is not None:
                stored[each.media.sha256].append(each)
        ids: dict[str, set[str]] = defaultdict(set)
        for entry in self._ledger.of("upload"):
            ids[entry.facts["sha256"]].add(entry.recording_id)
        for entry in self._ledger.of("upload"):
            sha256 = entry.facts["sha256"]
            own = self.found.get(entry.recording_id)
            if own is None:
                yield f"upload {entry.recording_id} was acknowledged, and has no recording"
            elif not ids[sha256] & deleted:
                yield from _examine_upload(entry, own, stored[sha256])

    def _copies(self) -> Iterator[str]:
        held = Counter(each.held_source for each in self.found.values() if each.held_source)
        stored = Counter(each.media.sha256 for each in self.found.values() if each.media and each.source_key)
        for source, count in (held + stored).items():
            if count > 1:
                yield f"{count} recordings have the same uploaded file {source}"

    def _deletions(self) -> Iterator[str]:
        for entry in self._ledger.of("delete"):
            found = self.found.get(entry.recording_id)
            if found is None or found.state not in _GONE:
                yield f"{entry.recording_id} was deleted and is {found and found.state}"

    def _holds(self) -> Iterator[str]:
        released_perhaps = self._changed("release")
        released = {entry.recording_id for entry in self._ledger.of("release")}
        for entry in self._ledger.of("hold"):
            found = self.found.get(entry.recording_id)
            if found is None or found.state is not State.STORED:
                yield f"{entry.recording_id} was put on hold and is {found and found.state}"
            elif found.hold is None and entry.recording_id not in released_perhaps:
                yield f"{entry.recording_id} was put on hold and has no hold"
            elif found.hold is not None and entry.recording_id in released:
                yield f"{entry.recording_id} was released and is on hold"

    def _calls(self) -> Iterator[str]:
        seconds = {entry.recording_id: entry.facts["seconds"] for entry in self._ledger.of("streamed")}
        masked = {entry.recording_id for entry in self._ledger.of("mask")}
        for entry in self._ledger.of("start"):
            name = entry.recording_id
            found = self.found.get(name)
            if found is None:
                yield f"recording {name} was started and does not exist"
            elif found.state in {State.FAILED, State.LOST}:
                yield f"recording {name} was started and is {found.state} {found.reason}: {found.reason_detail}"
            elif found.state is State.DISCARDED and seconds.get(name, 0.0) > _SHORTEST_CALL:
                yield f"recording {name} had {seconds[name]} s of audio and is DISCARDED {found.reason}"
            elif name in masked and found.state is State.STORED and not found.spans:
                yield f"recording {name} was masked and has no masked part"

    def _audio(self) -> Iterator[str]:
        """Play all stored recordings."""
        with httpx.Client(headers={"X-Auth-Token": self._installation.token}, timeout=60) as client:
            for each in self.found.values():
                if each.state is not State.STORED or each.media is None:
                    continue
                response = client.get(f"{self._installation.servers[0].url}/media/{each.id}")
                digest = hashlib.sha256(response.content).hexdigest()
                if (response.status_code, digest) != (200, each.media.sha256):
                    yield f"{each.id} is not played correctly: {response.status_code}"

    def _files(self) -> Iterator[str]:
        """Run `recordings doctor` on each server three days later, so that orphans are old enough."""
        later = ("tests.faults.killed_process:later", "3")
        for server in self._installation.servers:
            data = server.server.data
            ended = command("doctor", data=data, seconds=300, prepare=later, **self._installation.variables)
            if ended.returncode or ended.stdout:
                yield f"doctor on {data.name}: {ended.returncode} {ended.stdout[:2_000]} {ended.stderr[-1_000:]}"


def _examine_upload(entry: Entry, own: Recording, stored: Sequence[Recording]) -> Iterator[str]:
    """Check an acknowledged upload that no client deleted. `stored` are the recordings that have its audio."""
    if own.state is not State.STORED and own.reason is not Reason.DUPLICATE:
        yield f"upload {own.id} was acknowledged and is {own.state} {own.reason}: {own.reason_detail}"
    if not stored:
        yield f"upload {own.id} was acknowledged, and its audio is nowhere"
    for copy in stored:
        if copy.media is None or (copy.media.length, copy.duration_ms) != (entry.facts["length"], AUDIO_MS):
            yield f"upload {own.id} has a wrong length: {copy.media} {copy.duration_ms}"


def _is_unfinished(recording: Recording) -> bool:
    is_purged_later = recording.state is State.TRASHED and recording.hold is None
    return (
        recording.in_progress or recording.state is State.FINALIZING or recording.lease is not None or is_purged_later
    )


async def _all_recordings(services: Services) -> list[Recording]:
    found: list[Recording] = []
    while rows := await services.store.scan(found[-1].id if found else "", _PAGE):
        found += [Recording.from_row(row) for row in rows]
    return found
