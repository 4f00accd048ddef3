"""Where recordings are in their lives when the service is killed, and what has to come of them."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

from recordings.model.recording import DeliveryState, State
from tests.e2e.server import until
from tests.faults.killable_installation import PURGED, Installation, Life

BEGINS = "store.save[FINALIZING]#1 before"
"""The first moment of all that follows when a recording has ended."""
DELETED = "store.save[TRASHED]#1 after"
"""From here on a recording does not come back."""
COMES_IN = "customer#1 within"
"""The customer has all of it, and has not answered."""
RENDERS = "audio_workers.render#1 within"
"""A worker process is in the middle of it."""
COPIES = "media.put#1 within"
"""Half of it is in the folder. An object store has no such moment: it takes all or nothing."""
SENT_TWICE = (COMES_IN, "courier.deliver#1 after", "store.save[STORED, DELIVERED]#1 before")
"""The customer has it, and nothing says so here."""


def steps_of(installation: Installation) -> list[str]:
    """All steps in the order in which a recording takes them."""
    life = installation.begin()
    life.live(PURGED)
    moments = life.moments()
    steps = moments[moments.index(BEGINS) :]
    within = {"audio_workers.render#1 after": RENDERS, "courier.deliver#1 after": COMES_IN}
    if installation.has_folder:
        within["media.put#1 after"] = COPIES
    for end, middle in within.items():
        steps.insert(steps.index(end), middle)
    return steps


def die_at(installation: Installation, steps: Sequence[str], group: Sequence[str]) -> None:
    """Have a recording at each of these steps when the service is killed, start it again, and look."""
    lives: dict[str, Life] = {}
    held: set[str] = set()
    for step in group:
        lives[step] = life = installation.begin()
        held.add(f"{life.id} {step}")
        installation.control.hold(held)
        if step == COMES_IN:
            installation.customer.mute.add(life.path)
        life.live(step)
    installation.kill()
    installation.customer.mute.clear()
    installation.start()
    deleted = {step for step in group if steps.index(step) >= steps.index(DELETED)}
    check(installation, lives, deleted)


def check(installation: Installation, lives: Mapping[str, Life], deleted: Collection[str] = ()) -> None:
    """What came of recordings, by the step at which they were when the service was killed."""
    until(lambda: all(is_over(installation, life, deleted=step in deleted) for step, life in lives.items()))
    until(lambda: not any(path.is_file() for path in (installation.data / "spool").rglob("*")))
    found = installation.load([life.id for life in lives.values()])
    for (step, life), recording in zip(lives.items(), found, strict=True):
        assert recording.lease is None, step
        heard = life.heard()
        assert len(heard) == 1 + (step in SENT_TWICE), step
        assert len(set(heard)) == 1, step
        if step in deleted:
            assert (recording.state, recording.media, recording.delivery) == (State.PURGED, None, None), step
            assert recording.trashed_by, step
            continue
        assert recording.delivery is not None
        assert (recording.state, recording.delivery.state) == (State.STORED, DeliveryState.DELIVERED), step
        assert recording.delivery.id in heard, step
        assert recording.media is not None
        played = installation.client.http.get(f"/media/{life.id}")
        assert hashlib.sha256(played.content).hexdigest() == recording.media.sha256, step
    installation.examine([recording.media.sha256 for recording in found if recording.media is not None])


def is_over(installation: Installation, life: Life, *, deleted: bool) -> bool:
    """Whether nothing more is to be done for a recording."""
    query = "query Q($id: ID!) { recording(id: $id) { state delivery { state } } }"
    shown = installation.client.graphql(query, id=life.id)["recording"]
    return bool(shown == (None if deleted else {"state": "STORED", "delivery": {"state": "DELIVERED"}}))
