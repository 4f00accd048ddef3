"""Why a request is refused before, or instead of, being executed."""

from collections.abc import Mapping
from typing import Any


class HttpProblemError(Exception):
    """A request that HTTP refuses: its status, a stable code, a message and headers for the answer."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.error: dict[str, Any] = {"message": message, "extensions": {"code": code}}

    @classmethod
    def of(cls, status: int, error: dict[str, Any], headers: Mapping[str, str] | None = None) -> "HttpProblemError":
        """A problem that is told in these words."""
        problem = cls(status, "", str(error["message"]), headers)
        problem.error = error
        return problem
