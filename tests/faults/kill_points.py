"""The steps at which the service is killed, and the checks of the recordings afterwards."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

from recordings.model.recording import DeliveryState, State
from tests.e2e.server import until
from tests.faults.killable_installation import PURGED, WAIT_SECONDS, Installation, Life

FIRST_STEP = "store.save[FINALIZING]#1 before"
"""The first step after a recording has ended."""
DELETED = "store.save[TRASHED]#1 after"
"""From this step on a recording stays deleted."""
RECEIVED = "customer#1 within"
"""The customer has received the recording and has not yet responded."""
RENDERING = "audio_workers.render#1 within"
"""A worker process is in the middle of rendering."""
LINKING = "media.keep#1 within"
"""The file is in the folder, but not synced. An object store has no such step."""
SENT_TWICE = (RECEIVED, "courier.deliver#1 after", "store.save[STORED, DELIVERED]#1 before")
"""The customer has the recording, but the service has not saved that."""


def steps_of(installation: Installation) -> list[str]:
    """Return all steps in the order in which a recording takes them."""
    life = installation.begin()
    life.run(PURGED)
    steps = life.steps()
    steps = steps[steps.index(FIRST_STEP) :]
    within = {"audio_workers.render#1 after": RENDERING, "courier.deliver#1 after": RECEIVED}
    if installation.has_folder:
        within["media.keep#1 after"] = LINKING
    for end, middle in within.items():
        steps.insert(steps.index(end), middle)
    return steps


def kill_at(installation: Installation, steps: Sequence[str], group: Sequence[str]) -> None:
    """Bring a recording to each step of the group, kill the service, start it again, and check the recordings."""
    lives: dict[str, Life] = {}
    held: set[str] = set()
    for step in group:
        lives[step] = life = installation.begin()
        held.add(f"{life.id} {step}")
        installation.control.hold(held)
        if step == RECEIVED:
            installation.customer.unanswered.add(life.path)
        life.run(step)
    installation.kill()
    installation.customer.unanswered.clear()
    installation.start()
    deleted = {step for step in group if steps.index(step) >= steps.index(DELETED)}
    check(installation, lives, deleted)


def check(installation: Installation, lives: Mapping[str, Life], deleted: Collection[str] = ()) -> None:
    """Check the recordings after a kill. The keys of `lives` are the steps at which they were."""
    until(
        lambda: all(is_finished(installation, life, deleted=step in deleted) for step, life in lives.items()),
        WAIT_SECONDS,
    )
    until(lambda: not any(path.is_file() for path in (installation.data / "spool").rglob("*")), WAIT_SECONDS)
    found = installation.load([life.id for life in lives.values()])
    for (step, life), recording in zip(lives.items(), found, strict=True):
        assert recording.lease is None, step
        delivery_ids = life.delivery_ids()
        assert len(delivery_ids) == 1 + (step in SENT_TWICE), step
        assert len(set(delivery_ids)) == 1, step
        if step in deleted:
            assert (recording.state, recording.media, recording.delivery) == (State.PURGED, None, None), step
            assert recording.trashed_by is None, step
            continue
        assert recording.delivery is not None
        assert (recording.state, recording.delivery.state) == (State.STORED, DeliveryState.DELIVERED), step
        assert recording.delivery.id in delivery_ids, step
        assert recording.media is not None
        played = installation.client.http.get(f"/media/{life.id}")
        assert hashlib.sha256(played.content).hexdigest() == recording.media.sha256, step
    installation.examine([recording.media.sha256 for recording in found if recording.media is not None])


def is_finished(installation: Installation, life: Life, *, deleted: bool) -> bool:
    """Return true if the service has no more work for a recording."""
    query = "query Q($id: ID!) { recording(id: $id) { state delivery { state } } }"
    shown = installation.client.graphql(query, id=life.id)["recording"]
    return bool(shown == (None if deleted else {"state": "STORED", "delivery": {"state": "DELIVERED"}}))
