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

    def shown(self, request_id: str) -> dict[str, Any]:
        """Return the error as the response has it. A request id helps to find it in the log."""
        return {**self.error, "extensions": {**self.error.get("extensions", {}), "requestId": request_id}}

    @classmethod
    def of(cls, status: int, error: dict[str, Any], headers: Mapping[str, str] | None = None) -> "HttpProblemError":
        """A problem that is told in these words."""
        problem = cls(status, "", str(error["message"]), headers)
        problem.error = error
        return problem
