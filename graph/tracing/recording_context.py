"""The trace of a recording: which trace its background work belongs to.

A recording that a request makes belongs to the trace of this request, also when the finalizer and the webhooks work on
it later. This process remembers that for the last recordings. Another server, or this one after a restart, uses a trace
whose id is made of the recording's id, so that all its work is still in one trace.
"""

from collections import OrderedDict
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

_REMEMBERED: Final = 10_000
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16


class RecordingContexts:
    """The trace of each of the last recordings."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[str, SpanContext] = OrderedDict()

    def remember(self, recording_id: str) -> None:
        """Let the work on a recording belong to the current trace, if there is one."""
        current = trace.get_current_span().get_span_context()
        if current.is_valid:
            self._contexts[recording_id] = current
            if len(self._contexts) > _REMEMBERED:
                self._contexts.popitem(last=False)

    def of(self, recording_id: str) -> Context | None:
        """Return the parent of the work on a recording; `None` for a trace of its own."""
        known = self._contexts.get(recording_id) or _derived(recording_id)
        return None if known is None else trace.set_span_in_context(NonRecordingSpan(known))


def _derived(recording_id: str) -> SpanContext | None:
    digits = recording_id.rpartition("-")[2]
    try:
        number = int(digits, 16) if len(digits) == _TRACE_DIGITS else 0
    except ValueError:
        number = 0
    if not number:
        return None
    # The end of a UUIDv7 is random.
    span_id = int(digits[-_SPAN_DIGITS:], 16) or 1
    return SpanContext(number, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
