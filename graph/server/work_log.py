"""Log lines for the steps of the background work, and for the delivery of webhooks."""

from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.log_line import log_line
from graph.server.log_setup import logger
from recordings.model.feed_event import FeedEvent
from recordings.model.recording import Recording, State
from recordings.model.webhook import Webhook, WebhookAttempt
from recordings.rules.event_document import event_id

_NEW_STATES: Final = {
    State.FINALIZING: "recording ended",
    State.STORED: "recording stored",
    State.DISCARDED: "recording discarded",
    State.FAILED: "recording failed",
    State.LOST: "recording lost",
    State.TRASHED: "recording trashed",
    State.PURGED: "recording purged",
}
_UPKEEP: Final = logger("upkeep")
_WEBHOOKS: Final = logger("webhooks")


class LogReporter:
    """A `Reporter` of the background work that writes to the log."""

    def __init__(self) -> None:
        self._errors = ErrorLog(_UPKEEP)

    def moved(self, recording: Recording, step: str) -> None:
        """Log a finished step. A reason means that audio may be missing, so it is logged as a warning."""
        event = "step finished"
        if step == "recover":
            event = "recording recovered"
        elif step != recording.state.value.lower():
            event = _NEW_STATES.get(recording.state, event)
        fields = {"step": step, "recording_id": recording.id, "state": recording.state.value}
        if recording.delivery is not None:
            fields["delivery"] = recording.delivery.state.value
        if recording.reason is not None:
            fields["reason"] = recording.reason.value
        log_line("upkeep", event, fields, "info" if recording.reason is None else "warning")

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        """Log a failed step. It is retried, or the recording ends with a reason."""
        # Without the recording's id in the comparison: a store that is unreachable fails for every recording.
        self._errors.write("step failed", error, step=step, recording_id=recording_id)

    def left_alone(self, name: str) -> None:
        """Log a file or a folder in the data folder that this service did not make."""
        _UPKEEP.warning("unknown entry left alone", path=name)


class WebhookLog:
    """A `WebhookReporter` that writes to the log. A URL may contain a secret, so no line has one."""

    def attempted(self, webhook: Webhook, attempt: WebhookAttempt) -> None:
        """Log a failed attempt."""
        if not attempt.succeeded:
            fields = {"webhook": webhook.id, "event_id": attempt.event_id, "attempt": attempt.attempt}
            _WEBHOOKS.info("webhook attempt failed", **fields, status=attempt.status, error=attempt.error)

    def given_up(self, webhook: Webhook, event: FeedEvent) -> None:
        """Log an event that is not sent again."""
        _WEBHOOKS.warning("webhook event given up", webhook=webhook.id, event_id=event_id(event))

    def disabled(self, webhook: Webhook) -> None:
        """Log that a webhook gets no more events."""
        reason = "" if webhook.disabled is None else webhook.disabled.value
        _WEBHOOKS.error("webhook disabled", webhook=webhook.id, account_id=webhook.account_id, reason=reason)
