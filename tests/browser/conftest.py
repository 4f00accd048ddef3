"""A Chromium, and a server with the demo. Both are shared by the tests of a module."""

import os
from collections.abc import Iterator

import pytest

from tests.browser.chromium import Chromium, find_chromium
from tests.e2e.server import Server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Start Chromium. Without it, the tests are skipped; in CI they fail."""
    program = find_chromium()
    if program is None:
        reason = "NOT TESTED: Chromium is not installed (Debian and Ubuntu: apt-get install chromium)"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with Chromium(program) as browser:
        yield browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("demo") / "data", "--demo") as server:
        yield server
