"""The use case for a server that begins to control a switch: it continues the takes that are in progress there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from recordings.model.events import Rescheduled
from recordings.model.policy_trace import ConsentState
from recordings.model.recording import Recording
from recordings.ports.clock import Clock
from recordings.ports.peers import PeerStore
from recordings.ports.recorder import Take
from recordings.ports.recording_store import MetadataStore
from recordings.rules.lifecycle import WITH_AUDIO
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import take_of

MAX_TAKES: Final = 100_000
"""Maximum number of takes in progress of one server."""


class SwitchTakes:
    """Finds the takes in progress of a switch, and moves them to this server."""

    def __init__(self, *, store: MetadataStore, peers: PeerStore | None, clock: Clock, node: str) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._peers = peers
        self._clock = clock
        self._node = node

    async def take_over(self, switch: str) -> Sequence[Take]:
        """Return the takes in progress of a switch. They belong to this server now.

        Only the server that controls the switch may call this. Takes that another server has just ended are left out.
        """
        nodes = {self._node: None}
        if self._peers is not None:
            nodes |= {server.peer.node: None for server in await self._peers.servers()}
        takes: list[Take] = []
        for node in nodes:
            for recording in await self._store.held_by(node, MAX_TAKES):
                if recording.recorder == switch and _is_on_switch(recording):
                    own = await self._own(recording)
                    takes += [] if own is None else [_continued(own)]
        return takes

    async def _own(self, recording: Recording) -> Recording | None:
        if recording.node == self._node:
            return recording
        moved = Rescheduled(at=self._clock.now(), due_at=recording.due_at, node=self._node)
        while (owned := await self._writer.reschedule(recording, moved)) is None:
            # A client changed the recording in this moment, or it has ended.
            latest = await self._store.load(recording.id)
            if latest is None or not latest.in_progress:
                return None
            recording = latest
        return owned


def _is_on_switch(recording: Recording) -> bool:
    """Return true if the recorder knows the take. It does not know a take that waits for consent, or an upload."""
    waits = recording.consent is not None and recording.consent.state is ConsentState.WAITING
    return not waits and recording.source_key is None


def _continued(recording: Recording) -> Take:
    begun = recording.start if recording.state in WITH_AUDIO else None
    return replace(take_of(recording), begun=begun)
