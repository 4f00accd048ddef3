"""Chaos: real servers and stores are killed, frozen and cut off, while clients work. Nothing acknowledged may be lost.

Run `python -m tests.faults.cluster --minutes 15`. It exits with 1 after a violation. `--store` selects the parts:

- `cluster`: three servers behind nginx, a replica set of three members, S3. Rolling restarts must lose no request.
- `mongodb`: one server, one MongoDB, S3.
- `sqlite`: one server, with SQLite and a folder.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

from tests.faults.chaos.caller import Report
from tests.faults.chaos.chaos_installation import STORES, ChaosInstallation, open_installation
from tests.faults.chaos.disturbances import Disturbances
from tests.faults.chaos.final_check import FinalCheck
from tests.faults.chaos.ledger import Ledger
from tests.faults.chaos.traffic import Traffic

_SETTLE_SECONDS: Final = 12.0
"""After this time, all calls and requests that began during a fault have ended."""
_STEP_SECONDS: Final = 2.5
"""The time between the restarts of two servers. nginx tries a stopped server again after two seconds."""


def run(store: str, seconds: float, seed: int, folder: Path, *, only_steps: bool = False) -> list[str]:
    """Run the chaos, print what happened, and return the violations."""
    with open_installation(store, folder) as installation:
        ledger, report = Ledger(folder / "ledger.jsonl"), Report()
        disturbances = Disturbances(installation, Random(seed), only_steps=only_steps)
        violations: list[str] = []
        with Traffic(installation, ledger, report, seed) as traffic:
            parts = 2 if len(installation.servers) > 1 else 1
            for _ in range(parts):
                end = time.monotonic() + seconds / parts
                while time.monotonic() < end:
                    disturbances.round()
                if len(installation.servers) > 1:
                    violations += _restart_all(installation, traffic, report)
                    disturbances.counts["rolling restart"] += 1
        installation.heal()
        check = FinalCheck(installation, ledger)
        violations += check.violations()
    violations += [f"unexpected response: {text}" for text in report.unexpected]
    _print("acknowledged", ledger.counts())
    _print("faults", disturbances.counts)
    killed_at = sum((server.killed_at for server in installation.servers), Counter())
    _print(f"killed at {len(killed_at)} kinds of steps of {len(_kinds(installation))}", killed_at)
    _print("recordings", check.states())
    _print("requests that were tried again", report.retried)
    for act, (gap, at) in sorted(ledger.longest_gaps().items()):
        print(f"longest gap of {act}: {gap:.1f} s, at {at:.0f} s")
    for kind, longest in sorted(report.longest.items()):
        print(f"longest wait for a response to {kind}: {longest:.1f} s")
    print(f"all work was done after: {check.quiet_after} s")
    return violations


def _kinds(installation: ChaosInstallation) -> set[str]:
    """Return the kinds of steps that all servers have done."""
    return {kind for server in installation.servers for kind in server.steps}


def _restart_all(installation: ChaosInstallation, traffic: Traffic, report: Report) -> list[str]:
    """Restart one server after the other. Return each request that failed."""
    traffic.use_balancer_only(True)
    time.sleep(_SETTLE_SECONDS)
    report.failures.clear()
    for server in installation.servers:
        server.server.stop()
        server.launch()
        server.revive()
        time.sleep(_STEP_SECONDS)
    result = [f"a rolling restart failed a request: {each}" for each in report.failures]
    traffic.use_balancer_only(False)
    return result


def _print(title: str, counts: Counter[str]) -> None:
    print(f"{title}:")
    for name, count in sorted(counts.items()):
        print(f"  {count:6} {name}")


def main() -> int:
    """Read the options, run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, default=STORES[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, help="the seed of an earlier run, to choose the same faults")
    parser.add_argument("--steps", action="store_true", help="only kill servers, at each kind of step in turn")
    parser.add_argument("--keep", type=Path, help="an empty folder for the data and logs, which are kept")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        violations = run(options.store, options.minutes * 60, seed, folder, only_steps=options.steps)
    print(f"{len(violations)} violations")
    for violation in violations:
        print(f"- {violation}")
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())
