"""Restoring the logging configuration after a test that changes it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def restored_logging() -> Iterator[None]:
    """Restore the handlers, the levels and structlog's configuration at the end."""
    root = logging.getLogger()
    loggers = [root, *(found for found in root.manager.loggerDict.values() if isinstance(found, logging.Logger))]
    configuration = structlog.get_config()
    before = [(found, found.level, list(found.handlers), found.propagate) for found in loggers]
    try:
        yield
    finally:
        structlog.configure(**configuration)
        for found, level, handlers, propagate in before:
            found.handlers[:] = handlers
            found.setLevel(level)
            found.propagate = propagate
