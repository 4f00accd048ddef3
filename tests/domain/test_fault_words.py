"""Faults are described in words, without the names of classes of this service."""

import errno

import pytest

from adapters.media import AccessRefusedError
from recordings.rules.fault_words import describe_fault


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AccessRefusedError("the S3 store rejects the credentials"), "the S3 store rejects the credentials"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "the disk of this server is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk of this server is full"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/data/x"),
            "the disk of this server reports an error: Permission denied: /data/x",
        ),
        (TimeoutError(), "no response in time"),
        (ValueError("wrong"), "ValueError: wrong"),
        (KeyError(), "KeyError"),
        (ExceptionGroup("x", [TimeoutError()]), "no response in time"),
    ],
)
def test_a_fault_in_words(error: Exception, words: str) -> None:
    assert describe_fault(error) == words
