"""Hooks for all tests. See `tests.servers.fixtures` for the fixtures with real servers."""

import gc
import os
import sys
from collections.abc import Generator
from contextlib import suppress
from importlib import import_module

import hypothesis
import pytest
import structlog

from adapters.metadata.sqlite import database
from recordings.model import user
from tests.support.sqlite_template import create_migrated

pytest_plugins = ["tests.servers.fixtures", "tests.support.disk"]

LONG = (
    "tests/browser/",
    "tests/faults/",
    "tests/servers/",
    "tests/e2e/",
    "tests/node/",
    "tests/rest_v2/test_store_unavailable.py",
)

# Test machines can be slow. No test proves anything about time with a deadline of hypothesis.
hypothesis.settings.register_profile("unhurried", deadline=None, print_blob=True)
hypothesis.settings.load_profile("unhurried")

# Hundreds of tests make users. `test_a_guess_is_expensive` proves the real cost, in a process of its own.
user._COST = 2**4  # type: ignore[misc]

# Thousands of tests open a store in an empty folder.
database.create = create_migrated

# The default renderer shows all local variables of a traceback with rich. That takes a second for each error.
_renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _renderer])


def keep_bytecode(config: pytest.Config) -> None:
    """Write bytecode to pytest's cache if Python must not write it next to the sources.

    A run starts several hundred processes: servers, commands and audio workers. Without cached bytecode, such a process
    spends most of its time compiling its imports.
    """
    if sys.dont_write_bytecode and config.pluginmanager.has_plugin("cacheprovider"):
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("bytecode"))
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """Set the bytecode cache in the main process. Its workers inherit the setting."""
    if not hasattr(config, "workerinput"):
        keep_bytecode(config)


def import_own_share_first(config: pytest.Config) -> None:
    """Import the tests of a run, each worker from another begin: so it compiles its share, and loads the others."""
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    if worker is None:
        return
    files = sorted(path for argument in config.args for path in config.rootpath.joinpath(argument).rglob("test_*.py"))
    begin = int(worker.removeprefix("gw")) * len(files) // int(workers)
    for path in (*files[begin:], *files[:begin]):
        # An invalid file is reported when its tests are collected.
        with suppress(Exception):
            import_module(".".join(path.relative_to(config.rootpath).with_suffix("").parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector away from the modules and the tests, which are in use until the end of the run.

    Each full collection would examine a million objects: many times in this function, and again during the tests.
    """
    gc.disable()
    try:
        import_own_share_first(session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that start servers first. At the end of a run, one long test would keep a single worker busy."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
