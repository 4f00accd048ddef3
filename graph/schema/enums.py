"""The enumerations of the schema, with a description of each value.

The other modules of this package import all enumerations from here or from `audit_enums`. If Strawberry found one of
the domain's elsewhere first, it would register it under its Python name and without descriptions.
"""

from collections.abc import Mapping
from enum import Enum, EnumMeta
from typing import Any

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from recordings.model.account import Scope
from recordings.model.call import Network
from recordings.model.feed_event import EventType
from recordings.model.policy_trace import ConsentNeed, ConsentState, Decision, Fill, PolicySource
from recordings.model.query import OrderField
from recordings.model.recording import DeliveryState, Direction, EndCause, Reason, SpanKind, State
from recordings.model.recording_policy import Duplicates, LockKind, PolicyScope
from recordings.model.stats import Bucket as StatsBucket
from recordings.model.stats import Dimension as StatsDimension
from recordings.model.stats import Measure as StatsMeasure
from recordings.model.stats import PeriodField as StatsPeriodField
from recordings.ports.recorder import Capability
from recordings.rules.event_document import MEANINGS

__all__ = [
    "Capability",
    "ConsentNeed",
    "ConsentState",
    "Decision",
    "DeliveryMethod",
    "DeliveryState",
    "Direction",
    "Duplicates",
    "EndCause",
    "EventType",
    "Fill",
    "LockKind",
    "Network",
    "OrderDirection",
    "OrderField",
    "PlayedFormat",
    "PolicyDirection",
    "PolicyNetwork",
    "PolicyScope",
    "PolicySource",
    "Reason",
    "RecordingFormat",
    "SampleRate",
    "Scope",
    "SpanKind",
    "State",
    "StatsBucket",
    "StatsDimension",
    "StatsMeasure",
    "StatsPeriodField",
    "StoredFormat",
    "describe",
]


@strawberry.enum(description="The direction in which a list is sorted.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("ASC", description="Ascending: the smallest or earliest value first.")
    DESC = strawberry.enum_value("DESC", description="Descending: the largest or latest value first.")


@strawberry.enum(description="An audio format in which a recording can be played.")
class PlayedFormat(Enum):
    MP3 = strawberry.enum_value("mp3", description="MP3: `audio/mpeg`.")
    WAV = strawberry.enum_value("wav", description="WAV with 16-bit samples: `audio/x-wav`.")
    OPUS = strawberry.enum_value("opus", description="Opus in Ogg: `audio/ogg`. The smallest of the formats.")
    FLAC = strawberry.enum_value("flac", description="FLAC: `audio/flac`. Lossless, about half the size of WAV.")


@strawberry.enum(description="A file format that can be requested for a recording.")
class RecordingFormat(Enum):
    MP3 = strawberry.enum_value("mp3", description="MP3.")
    WAV = strawberry.enum_value("wav", description="WAV: uncompressed samples.")


@strawberry.enum(description="A file format in which recordings are stored.")
class StoredFormat(Enum):
    MP3 = strawberry.enum_value("mp3", description="MP3.")
    WAV = strawberry.enum_value("wav", description="WAV: uncompressed samples.")
    OPUS = strawberry.enum_value(
        "opus", description="Opus in Ogg: received audio that would be more than eight times as large as MP3."
    )


@strawberry.enum(description="The HTTP method with which a recording is sent to its `url`.")
class DeliveryMethod(Enum):
    PUT = strawberry.enum_value("put", description="HTTP PUT.")
    POST = strawberry.enum_value("post", description="HTTP POST.")


@strawberry.enum(description="A sampling rate of stored audio.")
class SampleRate(Enum):
    HZ_8000 = strawberry.enum_value(8_000, description="8,000 Hz: the rate of most telephone calls.")
    HZ_16000 = strawberry.enum_value(16_000, description="16,000 Hz: the rate of wideband calls.")
    HZ_24000 = strawberry.enum_value(24_000, description="24,000 Hz.")
    HZ_32000 = strawberry.enum_value(32_000, description="32,000 Hz.")
    HZ_48000 = strawberry.enum_value(48_000, description="48,000 Hz: the rate of fullband calls.")


@strawberry.enum(description="The direction of a cell of a policy, seen from the account.")
class PolicyDirection(Enum):
    ANY = strawberry.enum_value("any", description="Both directions.")
    INBOUND = strawberry.enum_value("inbound", description="Calls to the account, the user or the device.")
    OUTBOUND = strawberry.enum_value("outbound", description="Calls by the account, the user or the device.")


@strawberry.enum(description="The network of a cell of a policy: the network of the other party.")
class PolicyNetwork(Enum):
    ANY = strawberry.enum_value("any", description="Both networks.")
    ONNET = strawberry.enum_value("onnet", description="The account's own phones.")
    OFFNET = strawberry.enum_value("offnet", description="A carrier.")


def describe(kind: EnumMeta, name: str, description: str, values: Mapping[Any, str]) -> None:
    """Register an enumeration of the domain. Raise `KeyError` if a value has no description."""
    strawberry.enum(kind, name=name, description=description)
    described: Any = kind
    definition: StrawberryEnumDefinition = described.__strawberry_definition__
    for value in definition.values:
        value.description = values[described(value.value)]


describe(
    State,
    "RecordingState",
    "The state of a recording. The usual order is REQUESTED, ARMED (optional), RECORDING, FINALIZING, STORED.",
    {
        State.REQUESTED: "The service asked the recorder to start; the recorder has not confirmed yet.",
        State.ARMED: "The recorder waits until the call is answered or bridged (connected to another leg).",
        State.RECORDING: "The audio of the call is being recorded.",
        State.PAUSED: "In progress, but nothing is recorded until the recording is resumed.",
        State.MASKED: "In progress, but silence is recorded until the recording is unmasked.",
        State.FINALIZING: "The audio has ended; the service measures, converts and stores it.",
        State.STORED: "The audio is stored and can be played.",
        State.DISCARDED: "There was no audio to keep; see `reason`.",
        State.FAILED: "An error occurred; see `reason`.",
        State.LOST: "The server that held the audio, or the audio itself, is missing; see `reason`.",
        State.TRASHED: "Deleted. The recording can be restored until `purgeAt`.",
        State.PURGED: "Permanently deleted: the audio cannot be restored.",
    },
)
describe(
    Reason,
    "RecordingReason",
    "The reason why a recording was discarded, failed or was lost.",
    {
        Reason.TOO_SHORT: "The audio is shorter than `recordMinSec`.",
        Reason.EMPTY: "There is no audio.",
        Reason.NEVER_STARTED: "The recording ended before any audio was recorded.",
        Reason.DUPLICATE: "The service had already received the same audio.",
        Reason.NOT_AUDIO: "The received file cannot be decoded as audio.",
        Reason.TOO_LONG: "The audio is longer than this installation accepts. The server keeps the received file.",
        Reason.INCOMPLETE: "The upload was interrupted, so the received file is incomplete.",
        Reason.RECORDER_FAILED: "The recorder reported an error.",
        Reason.FINALIZER_FAILED: "The service could not measure or convert the audio.",
        Reason.RECORDER_GONE: "The server that recorded the audio stopped responding.",
        Reason.AUDIO_MISSING: "The audio is missing, on the server that recorded it or in the media store.",
        Reason.NO_CONSENT: "The parties did not consent to be recorded.",
        Reason.NO_START: "The switch did not begin to record in time.",
        Reason.NO_FILE: "The switch did not hand over the recorded file in time.",
        Reason.SWITCH_RESTARTED: "The switch restarted during the call.",
    },
)
describe(
    EndCause,
    "RecordingEndCause",
    "The event that ended the audio of a recording.",
    {
        EndCause.STOPPED: "A client stopped the recording.",
        EndCause.HANGUP: "The call ended.",
        EndCause.LEG_ENDED: "The leg ended, and the conversation continued on another leg.",
        EndCause.TIME_LIMIT: "The recording reached its `timeLimit`.",
        EndCause.RECEIVED: "The service received the audio as a complete file.",
        EndCause.IDLE: "The service received no more audio for too long.",
        EndCause.PROTOCOL_ERROR: "The sender of the audio violated the protocol.",
        EndCause.DISCONNECTED: "The connection to the switch was lost.",
        EndCause.SHUTDOWN: "The server was shut down.",
        EndCause.SERVER_RESTART: "The server was restarted.",
        EndCause.SPOOL_FULL: "The server's disk for audio in progress was full.",
    },
)
describe(
    DeliveryState,
    "DeliveryState",
    "The state of the delivery of a recording to its `url`.",
    {
        DeliveryState.PENDING: "Not delivered yet; the next attempt is at `dueAt`.",
        DeliveryState.DELIVERED: "The receiver accepted the recording.",
        DeliveryState.FAILED: "The delivery failed. The service tries again only if a client requests it.",
    },
)
describe(
    Direction,
    "CallDirection",
    "The direction of a call, as seen from the switch.",
    {
        Direction.INBOUND: "The switch received the call.",
        Direction.OUTBOUND: "The switch placed the call.",
    },
)
describe(
    SpanKind,
    "SpanKind",
    "The reason why a part of a call is not in the audio.",
    {
        SpanKind.PAUSED: "The recording was paused: this part was cut out of the audio.",
        SpanKind.MASKED: "The recording was masked: the audio has silence in this part.",
        SpanKind.SENDER_PAUSED: "The sender paused its stream: the audio has silence in this part.",
        SpanKind.SENDER_DISCARDED: "The sender discarded this part: the audio has silence in it.",
        SpanKind.DISCONNECTED: "The stream was disconnected and continued: the audio has silence in this part.",
        SpanKind.GAP: "The sender sent no audio for this part: the audio has silence in it.",
    },
)
describe(
    Scope,
    "Scope",
    "A permission of the credentials. It applies to all recordings that the credentials can access.",
    {
        Scope.READ: "Find recordings and live calls.",
        Scope.LISTEN: "Play the audio.",
        Scope.CONTROL: "Start, stop, pause, resume, mask and unmask recordings; change metadata; send audio again.",
        Scope.DELETE: "Delete and restore recordings.",
        Scope.ADMIN: "Set and release legal holds, and set recording policies.",
        Scope.INGEST: "Upload audio. Only the upload addresses of switches have this scope; they have no other scope.",
    },
)
describe(
    OrderField,
    "RecordingOrderField",
    "A field by which recordings can be sorted.",
    {
        OrderField.START: "The time at which the audio began.",
        OrderField.CREATED: "The time at which the recording was requested.",
        OrderField.ENDED: "The time at which the call ended or the recording failed. Recordings that have not ended "
        "sort first in ascending order.",
        OrderField.DURATION: "The duration of the audio. Recordings without a duration sort first in ascending order.",
        OrderField.CALLER: "The caller's number, compared as text. Recordings without one sort first in ascending "
        "order.",
        OrderField.MODIFIED: "The time of the last change. A recording that changes again moves to the end, so a "
        "client that continues after its last cursor, in ascending order, gets every change once. The newest changes "
        "are listed as soon as no slower write can come before them: at once with SQLite, after about 8 seconds with "
        "MongoDB. Uploads are listed when they are complete.",
    },
)
describe(
    StatsPeriodField,
    "StatsPeriodField",
    "The time of a recording that decides to which period and bucket it belongs.",
    {
        StatsPeriodField.START: "The time at which the audio began. These figures are counted in advance.",
        StatsPeriodField.CREATED: "The time at which the recording was requested. The recordings of the period are "
        "read and counted, so it must be short on a large account.",
        StatsPeriodField.ENDED: "The time at which the call ended or the recording failed, with the same limit as "
        "CREATED.",
    },
)
describe(
    StatsBucket,
    "StatsBucket",
    "A part of time in a time zone.",
    {
        StatsBucket.QUARTER_HOUR: "15 minutes.",
        StatsBucket.HOUR: "An hour.",
        StatsBucket.DAY: "A day. It begins with the first instant of its date.",
        StatsBucket.WEEK: "A week of ISO 8601. It begins on Monday.",
        StatsBucket.MONTH: "A month.",
    },
)
describe(
    StatsDimension,
    "StatsDimension",
    "A field by which recordings can be grouped.",
    {
        StatsDimension.ACCOUNT: "The account that the recording belongs to.",
        StatsDimension.OWNER: "The user that the call belonged to.",
        StatsDimension.ENDPOINT: "The device that the call used.",
        StatsDimension.DIRECTION: "The direction of the call.",
        StatsDimension.STATE: "The state of the recording.",
        StatsDimension.REASON: "The reason why the recording was discarded, failed or was lost.",
        StatsDimension.END_CAUSE: "The event that ended the audio.",
        StatsDimension.LABEL: "The label.",
        StatsDimension.FORMAT: "The format of the audio.",
    },
)
describe(
    StatsMeasure,
    "StatsOrderField",
    "A value by which the rows of figures can be sorted.",
    {
        StatsMeasure.BUCKET: "The start of the bucket.",
        StatsMeasure.COUNT: "`count`.",
        StatsMeasure.MEASURED: "`measured`.",
        StatsMeasure.AUDIO_MS: "`audioMs`.",
        StatsMeasure.BYTES: "`bytes`.",
        StatsMeasure.AVERAGE_MS: "`averageMs`.",
        StatsMeasure.SHORTEST_MS: "`shortestMs`.",
        StatsMeasure.LONGEST_MS: "`longestMs`.",
        StatsMeasure.FAILURE_RATE: "`failureRate`.",
    },
)
describe(
    Network,
    "CallNetwork",
    "The network of a party of a call.",
    {
        Network.ONNET: "The account's own phones.",
        Network.OFFNET: "A carrier.",
    },
)
describe(
    PolicyScope,
    "RecordingPolicyScope",
    "The calls that a recording policy is for.",
    {
        PolicyScope.ACCOUNT: "All calls of the account. It is independent of the other policies.",
        PolicyScope.ENDPOINT_DEFAULT: "The calls of the account's users and devices, unless their own policies say "
        "otherwise.",
        PolicyScope.USER: "The calls of a user.",
        PolicyScope.DEVICE: "The calls of a device.",
    },
)
describe(
    PolicySource,
    "RecordingPolicySource",
    "The setting that decided whether a call is recorded.",
    {
        PolicySource.LOCK: "A lock of the account.",
        PolicySource.REQUEST: "The sender of the audio asked for it.",
        PolicySource.DEVICE: "The policy of the device.",
        PolicySource.USER: "The policy of the user.",
        PolicySource.ENDPOINT_DEFAULT: "The account's default for its users and devices.",
        PolicySource.ACCOUNT: "The account's policy for all its calls.",
        PolicySource.DEFAULT: "No setting: the call is not recorded.",
    },
)
describe(
    Decision,
    "RecordingDecision",
    "Whether calls are recorded.",
    {
        Decision.RECORD: "Calls are recorded.",
        Decision.DO_NOT_RECORD: "Calls are not recorded.",
    },
)
describe(
    Fill,
    "RecordingPolicyFill",
    "The meaning of a cell that a policy does not have.",
    {
        Fill.COMPATIBLE: "Off, as in Kazoo, if the policy has any cell.",
        Fill.INHERIT: "The same as in the document above.",
    },
)
describe(
    LockKind,
    "RecordingLockKind",
    "What a lock does.",
    {
        LockKind.FORCE: "Calls are recorded, and no client can stop the recording.",
        LockKind.NEVER: "Calls are not recorded, and their streams are rejected. It takes precedence over FORCE.",
    },
)
describe(
    Duplicates,
    "RecordingDuplicates",
    "How many recordings a call gets if the account's policy and the endpoint's policy both record it.",
    {
        Duplicates.ONE: "One, for both policies. Two if they send the recordings to different URLs.",
        Duplicates.SEPARATE: "Two, one for each policy.",
    },
)
describe(
    ConsentNeed,
    "RecordingConsentNeed",
    "The consent that an account needs before it records a call.",
    {
        ConsentNeed.NOT_NEEDED: "None.",
        ConsentNeed.NOTICE: "The parties were told that the call is recorded.",
        ConsentNeed.ALL_PARTIES: "All parties agreed.",
    },
)
describe(
    ConsentState,
    "RecordingConsentState",
    "The answer of the parties of a call.",
    {
        ConsentState.WAITING: "No answer yet. The recording waits.",
        ConsentState.GIVEN: "The parties consent.",
        ConsentState.REFUSED: "The parties do not consent. The recording is discarded.",
    },
)
describe(
    Capability,
    "RecorderCapability",
    "A feature that the recorder of a call has, in addition to start and stop.",
    {
        Capability.PAUSE: "`pauseRecording` and `resumeRecording`.",
        Capability.MASK: "`maskRecording` and `unmaskRecording`.",
        Capability.ON_ANSWER: "The option `recordOnAnswer`.",
        Capability.ON_BRIDGE: "The option `recordOnBridge`.",
        Capability.FOLLOW_TRANSFER: "The option `shouldFollowTransfer`.",
        Capability.CONTINUES: "Recordings continue while this service restarts.",
    },
)
describe(EventType, "RecordingEventType", "What happened to a recording, or to an account's settings.", MEANINGS)
