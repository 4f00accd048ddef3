"""`kill -9` at every step of a recording's life, as in `test_killed`, with a death of its own for each of them.

It takes minutes, and is run by name: `scripts/check deaths`.
"""

from tests.faults.kill_points import die_at, steps_of
from tests.faults.killable_installation import Installation


def test_at_each_step_alone(installation: Installation) -> None:
    installation.start()
    steps = steps_of(installation)
    for step in steps:
        die_at(installation, steps, [step])
