"""Restore the logging configuration after each test."""

from collections.abc import Iterator

import pytest

from tests.support.log_lines import restored_logging


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with restored_logging():
        yield
