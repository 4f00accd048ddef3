"""`kill -9` of the service at every step of finalizing, delivering, listening and deleting, then a restart.

One life of a recording, undisturbed, shows what the steps are: each call of a port, before and after it, and the middle
of those that take long. Then every step has a recording of its own, all in one service, each standing still there when
the service is killed. A step that nothing else can go on beside has a death of its own.

Afterwards the doctor finds nothing missing and nothing orphaned, nothing says `STORED` whose bytes are not there, what
was purged has left a tombstone alone, and a customer that was sent something twice was sent it under one delivery id.
"""

from functools import partial

from tests.e2e.server import until
from tests.faults.kill_points import BEGINS, check, die_at, steps_of
from tests.faults.killable_installation import Installation

CONVERTED = ("media.read#3", "audio_workers.render#2")
ALONE = ("store.save[FINALIZING]", "store.claim_due")
"""What stands in the way of everything else while it stands still."""


def test_at_every_step_of_a_recordings_life(installation: Installation) -> None:
    installation.start(places=64)
    steps = steps_of(installation)
    alone = [step for step in steps if step.startswith(ALONE)]
    # No more renditions are made at once, so these go last.
    last = [step for step in steps if step.startswith(CONVERTED)]
    together = [step for step in steps if step not in {*alone, *last}]
    assert (len(together) > 40, len(last), len(alone)) == (True, 4, 5)
    for group in ([*together, *last, alone[0]], *([step] for step in alone[1:])):
        die_at(installation, steps, group)


def test_at_every_step_of_recovering(installation: Installation) -> None:
    installation.start()
    life = installation.begin()
    until(lambda: life.is_heard)
    installation.kill()
    life.break_off()
    steps = [f"- store.release_leases#1 {when}" for when in ("before", "after")]
    steps += [f"{life.id} store.save[FINALIZING]#1 {when}" for when in ("before", "after")]
    for step in steps:
        installation.launch([step])
        until(partial(passed, installation, step))
        installation.kill()
    installation.start()
    check(installation, {BEGINS: life})


def passed(installation: Installation, step: str) -> bool:
    return step in installation.control.trace()
