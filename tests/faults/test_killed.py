"""`kill -9` of the service at every step of finalizing, delivering, playing and deleting, and a restart afterwards.

A first recording without a kill shows the steps: before and after each call of a port, and the middle of long calls.
Then each step gets its own recording, which waits at this step when the service is killed. All these recordings are in
one service. A step that blocks all other work gets its own kill.

Afterwards the doctor finds neither missing nor orphaned audio, every recording in `STORED` has its bytes, a purged
recording has left only its tombstone, and a recording that was sent twice was sent with one delivery id.
"""

from functools import partial

from tests.e2e.server import until
from tests.faults.kill_points import FIRST_STEP, check, kill_at, steps_of
from tests.faults.killable_installation import DELIVERED, Installation

CONVERTED = ("media.read#2", "audio_workers.render#2")
ALONE = ("store.save[FINALIZING]", "store.claim_due")
"""The steps that block all other work while they wait."""


def test_a_kill_at_every_step_of_a_recording(installation: Installation) -> None:
    installation.start(workers=64)
    steps = steps_of(installation)
    alone = [step for step in steps if step.startswith(ALONE)]
    # No more than four renditions are made at the same time, so these steps come last.
    last = [step for step in steps if step.startswith(CONVERTED)]
    together = [step for step in steps if step not in {*alone, *last}]
    assert (len(together) > 38, len(last), len(alone)) == (True, 4, 5)
    # An account has 12 slots for deliveries. Each waiting step of a delivery occupies one, so half of them come later.
    later = steps[steps.index(alone[3]) + 1 : steps.index(DELIVERED) : 2]
    first = [step for step in together if step not in later]
    for group in ([*first, *last, alone[0]], [*later, alone[1]], *([step] for step in alone[2:])):
        kill_at(installation, steps, group)


def test_a_kill_at_every_step_of_the_recovery(installation: Installation) -> None:
    installation.start()
    life = installation.begin()
    until(lambda: life.is_spooled)
    installation.kill()
    life.break_off()
    steps = [f"- store.release_leases#1 {when}" for when in ("before", "after")]
    steps += [f"{life.id} store.save[FINALIZING]#1 {when}" for when in ("before", "after")]
    for step in steps:
        installation.launch([step])
        until(partial(is_reached, installation, step))
        installation.kill()
    installation.start()
    check(installation, {FIRST_STEP: life})


def is_reached(installation: Installation, step: str) -> bool:
    return step in installation.control.trace()
