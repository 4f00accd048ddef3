"""`kill -9` at every step of a recording's life, as in `test_killed`, but with a separate kill for each step.

It takes minutes and runs only on request: `scripts/check deaths`.
"""

from tests.faults.kill_points import kill_at, steps_of
from tests.faults.killable_installation import Installation


def test_a_kill_at_each_step_alone(installation: Installation) -> None:
    installation.start()
    steps = steps_of(installation)
    for step in steps:
        kill_at(installation, steps, [step])
