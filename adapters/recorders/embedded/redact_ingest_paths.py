"""Keeps the secrets of ingest addresses out of logs: they stand in paths, and servers log paths."""

import logging
import re
from typing import Any, Final

_ADDRESS: Final = re.compile(r"(/ingest/[^/\s?]+)/[^/\s?\"]+")


class IngestSecrets(logging.Filter):
    """Add it to the loggers (or handlers) that tell of requests: `uvicorn.access` and `uvicorn.error`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with `...` where a secret was."""
        record.msg = _hidden(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_hidden(argument) for argument in record.args)
        elif record.args:
            record.args = {name: _hidden(value) for name, value in record.args.items()}
        return True


def _hidden(value: Any) -> Any:
    return _ADDRESS.sub(r"\1/...", value) if isinstance(value, str) else value
