"""The port for actions that run at the same time."""

from collections.abc import Awaitable, Callable, Sequence

from recordings.model.recording import Recording

Action = Callable[[], Awaitable[Recording]]
Parallel = Callable[[Sequence[Action]], Awaitable[Sequence[Recording | BaseException]]]
"""Runs all actions, a few at a time, and returns their results or exceptions in their order."""
