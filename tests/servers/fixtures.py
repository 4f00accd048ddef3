"""The servers that audio is stored on and sent to, each one for all workers of a run, as fixtures.

A server that does not run here skips its tests, loudly; in CI it fails them.
"""

import os
import tempfile
from pathlib import Path

import pytest

from tests.servers.shared import Answer, ServerUnavailableError, SharedServer

KINDS = ("seaweedfs", "juicefs", "nginx")
NO_SERVER = "no server because "
ROOT = pytest.StashKey[Path]()
SERVERS = pytest.StashKey[dict[str, SharedServer]]()


def pytest_configure(config: pytest.Config) -> None:
    """The main process holds the servers' folders; xdist tells its workers where they are."""
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    root = Path(worker["shared_servers"] if worker else tempfile.mkdtemp(prefix="recordings-tests-servers-"))
    config.stash[ROOT] = root
    config.stash[SERVERS] = servers = {kind: SharedServer(kind, root / kind) for kind in KINDS}
    if worker is None:
        for server in servers.values():
            server.hold()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "pytest.Item") -> None:
    """Called by xdist in the main process for each worker."""
    node.workerinput["shared_servers"] = str(node.config.stash[ROOT])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing of the servers is left behind."""
    if SERVERS not in config.stash or hasattr(config, "workerinput"):
        return
    for server in config.stash[SERVERS].values():
        server.release()
    config.stash[ROOT].rmdir()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not proven, where nobody can overlook it."""
    said = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if skipped := [reason for reason in said if NO_SERVER in reason]:
        terminalreporter.section("NOT TESTED: stores on real servers", sep="!", red=True, bold=True)
        for why in sorted({reason.split(NO_SERVER, 1)[1].rstrip("')") for reason in skipped}):
            terminalreporter.line(f"{len(skipped)} tests skipped: {NO_SERVER}{why}", red=True)


def ask(config: pytest.Config, kind: str) -> Answer:
    """Where a server is, or the skip that says why there is none."""
    try:
        return config.stash[SERVERS][kind].answer()
    except ServerUnavailableError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"{NO_SERVER}{kind}: {error}", pytrace=False)
        pytest.skip(f"{NO_SERVER}{kind}: {error}")


@pytest.fixture(scope="session")
def seaweedfs(pytestconfig: pytest.Config) -> Answer:
    """SeaweedFS: `s3`, `filer`, `key`, `secret`."""
    return ask(pytestconfig, "seaweedfs")


@pytest.fixture(scope="session")
def juicefs(pytestconfig: pytest.Config) -> Answer:
    """A JuiceFS gateway: `s3`, `key`, `secret`."""
    return ask(pytestconfig, "juicefs")


@pytest.fixture(scope="session")
def nginx(pytestconfig: pytest.Config) -> Answer:
    """nginx: `http`, and the folder `root` that it serves."""
    return ask(pytestconfig, "nginx")
