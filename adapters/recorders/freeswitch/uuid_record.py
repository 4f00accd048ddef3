"""The arguments and replies of FreeSWITCH's command `uuid_record`."""

from typing import Final

from adapters.recorders.freeswitch.esl_protocol import variables
from recordings.model.recording import Reason
from recordings.ports.recorder import Take

_GONE: Final = ("-ERR Cannot stop record session", "-ERR Cannot locate session")
"""Replies to a stop: the recording or its channel has ended."""
NO_FILE: Final = {
    "empty-file": (Reason.EMPTY, "the switch recorded no audio"),
    "input-too-short": (Reason.TOO_SHORT, "the switch discarded the take because it was too short"),
}
"""The `Record-Completion-Cause` of recordings that the switch deletes."""


def variables_of(take: Take, *, is_outbound: bool) -> str:
    """Return the variables of a recording. They replace those of the dialplan, which belong to other recordings."""
    values = {
        "recording_id": take.recording_id,
        "RECORD_STEREO": "true",
        # The leg of a called party has the caller on the other side.
        "RECORD_STEREO_SWAP": "true" if is_outbound else "false",
        "RECORD_READ_ONLY": "false",
        "RECORD_WRITE_ONLY": "false",
        "RECORD_ANSWER_REQ": "false",
        "RECORD_BRIDGE_REQ": "false",
        "RECORD_APPEND": "false",
        "RECORD_MIN_SEC": "0",
        # The default of 25 frames loses half a second.
        "RECORD_PRE_BUFFER_FRAMES": "1",
    }
    if take.options.record_sample_rate is not None:
        values["record_sample_rate"] = str(take.options.record_sample_rate)
    return variables(values)


def is_stopped(reply: str) -> bool:
    """Return true if a recording does not run any longer, by the reply to its stop."""
    return not reply.startswith("-") or reply.startswith(_GONE)


def describe_refusal(reply: str, call_id: str) -> str:
    """Return why FreeSWITCH refused a start, in words."""
    if "Cannot locate" in reply:
        return f"the call {call_id} has ended"
    if "Cannot record" in reply:
        return "the switch cannot write the recording: does its folder exist, and may FreeSWITCH write there?"
    return f"the switch does not record the call {call_id}: {reply[:80]}"
