"""Asterisk, controlled by its REST interface (ARI): snoop channels record its calls."""

from adapters.recorders.asterisk.asterisk_recorder import AsteriskRecorder

__all__ = ["AsteriskRecorder"]
