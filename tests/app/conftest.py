"""Restore the logging configuration after each test."""

from collections.abc import Iterator

import pytest

from tests.support.log_lines import kept_logging


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with kept_logging():
        yield
