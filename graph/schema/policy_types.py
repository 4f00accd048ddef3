"""The types of recording policies: documents, decisions and explanations."""

from collections.abc import Mapping
from typing import Any

import strawberry

from graph.schema.camel_case import parameter_description
from graph.schema.enums import (
    ConsentNeed,
    ConsentState,
    Decision,
    Direction,
    Duplicates,
    Fill,
    LockKind,
    Network,
    PolicyDirection,
    PolicyNetwork,
    PolicyScope,
    PolicySource,
    RecordingFormat,
    SampleRate,
)
from graph.schema.recording_parts import RecordingOptions
from graph.schema.scalars import JSON, URL, DateTime
from recordings.model.options import FORMATS, nearest_sample_rate
from recordings.model.recording_policy import PolicyDocument

_DIRECTION = "The direction, seen from the account: an inbound call is a call to it."
_NETWORK = "The network of the other party."
_REASONS = "Every setting that asks for the recording, such as `user.inbound.offnet`."
_CELL = "The cell that decided, such as `inbound.offnet`."


@strawberry.type(description="The decision that started a recording.")
class RecordingPolicyDecision:
    source: PolicySource = strawberry.field(description="The setting that decided.")
    document_id: strawberry.ID | None = strawberry.field(
        description="The id of the account, the user or the device whose document decided. Null for a request."
    )
    revision: int | None = strawberry.field(description="The revision of that document.")
    cell: str | None = strawberry.field(description=_CELL)
    decision: Decision = strawberry.field(description="The decision.")
    fill: Fill | None = strawberry.field(description="The meaning of the cells that the document does not have.")
    reasons: list[str] = strawberry.field(description=_REASONS)
    locked: bool = strawberry.field(description="Whether a lock forces the recording, so that no client can stop it.")
    evaluated_at: DateTime = strawberry.field(description="The time of the decision.")


@strawberry.type(description="The consent of the parties of a call to its recording.")
class RecordingConsent:
    need: ConsentNeed = strawberry.field(description="The consent that the account needs.")
    state: ConsentState = strawberry.field(description="The answer of the parties.")
    at: DateTime = strawberry.field(description="The time of the answer. Until then, the time of the start.")
    by: str = strawberry.field(description="The name of the credentials that reported the answer.")


@strawberry.type(description="The setting of a policy for a direction and a network. A null option has no setting.")
class PolicyCell:
    direction: PolicyDirection = strawberry.field(description=_DIRECTION)
    network: PolicyNetwork = strawberry.field(description=_NETWORK)
    decision: Decision | None = strawberry.field(description="Whether calls are recorded. Null if the cell inherits.")
    format: RecordingFormat | None = strawberry.field(description="The format of the audio.")
    record_min_sec: int | None = strawberry.field(description=parameter_description("record_min_sec"))
    record_on_answer: bool | None = strawberry.field(description=parameter_description("record_on_answer"))
    record_on_bridge: bool | None = strawberry.field(description=parameter_description("record_on_bridge"))
    record_sample_rate: SampleRate | None = strawberry.field(description="Sampling rate of the stored audio in Hz.")
    time_limit: int | None = strawberry.field(description=parameter_description("time_limit"))
    url: URL | None = strawberry.field(
        description="URL to send the stored recording to. Null without the scope CONTROL or ADMIN."
    )


@strawberry.type(description="A setting of an account that no user, device or request can change.")
class PolicyLock:
    kind: LockKind = strawberry.field(description="What the lock does.")
    direction: Direction | None = strawberry.field(description="The direction that it is for. Null for both.")
    network: Network | None = strawberry.field(description="The network that it is for. Null for both.")
    numbers: list[str] = strawberry.field(description="The numbers that it is for. Empty for all. `*` ends a prefix.")
    exceptions: list[str] = strawberry.field(description="The numbers that it is not for. `*` ends a prefix.")


@strawberry.type(description="A recording policy: which calls are recorded without a request.")
class RecordingPolicy:
    scope: PolicyScope = strawberry.field(description="The calls that the policy is for.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account.")
    id: strawberry.ID = strawberry.field(description="The id of the account, the user or the device.")
    cells: list[PolicyCell] = strawberry.field(description="The cells that the document has.")
    fill: Fill | None = strawberry.field(
        description="The meaning of the cells that the document does not have. Null without a policy."
    )
    locks: list[PolicyLock] = strawberry.field(description="The locks of the account. Empty for a user and a device.")
    consent: ConsentNeed = strawberry.field(description="The consent that the account needs.")
    duplicates: Duplicates = strawberry.field(
        description="How many recordings a call gets if the account's policy and the endpoint's policy record it."
    )
    call_recording: JSON | None = strawberry.field(
        description="The same policy as a Kazoo document, as the v2 REST API has it. Null if there is none."
    )
    revision: int = strawberry.field(description="The number of changes of the document. 0 if it was never written.")
    modified: DateTime | None = strawberry.field(description="The time of the last change. Null without one.")


@strawberry.type(description="The setting of one policy for a call.")
class PolicyLevel:
    scope: PolicyScope = strawberry.field(description="The policy.")
    document_id: strawberry.ID = strawberry.field(description="The id of the account, the user or the device.")
    revision: int = strawberry.field(description="The revision of its document.")
    fill: Fill | None = strawberry.field(description="The meaning of the cells that the document does not have.")
    cell: str = strawberry.field(description="The cell of the call.")
    decision: Decision | None = strawberry.field(description="What the policy says. Null if it does not say.")


@strawberry.type(description="A recording that the policies start for a call.")
class PlannedRecording:
    source: PolicySource = strawberry.field(description="The setting that decided.")
    document_id: strawberry.ID | None = strawberry.field(description="The id of the document that decided.")
    revision: int | None = strawberry.field(description="The revision of that document.")
    cell: str | None = strawberry.field(description=_CELL)
    reasons: list[str] = strawberry.field(description=_REASONS)
    origin: str | None = strawberry.field(description="The `origin` of the recording. Null for a request.")
    options: RecordingOptions = strawberry.field(description="The options of the recording.")


@strawberry.type(description="Why a call is or is not recorded.")
class RecordingPolicyExplanation:
    decision: Decision = strawberry.field(description="The decision.")
    source: PolicySource = strawberry.field(description="The setting that decided.")
    because: str = strawberry.field(description="The reason, as text for a person.")
    refused: bool = strawberry.field(description="Whether a lock forbids to record the call.")
    direction: Direction = strawberry.field(description=_DIRECTION)
    network: Network | None = strawberry.field(description=f"{_NETWORK} Null if it is unknown.")
    consent: ConsentNeed = strawberry.field(description="The consent that the account needs.")
    recordings: list[PlannedRecording] = strawberry.field(description="The recordings that the policies start.")
    levels: list[PolicyLevel] = strawberry.field(
        description="What each policy says. The most specific one of the endpoint is first, the account's is last."
    )
    warnings: list[str] = strawberry.field(
        description="Settings that may not be intended, such as a document that turns off what the document above it "
        "turned on."
    )


def policy_of(document: PolicyDocument, scope: PolicyScope) -> RecordingPolicy:
    """Return the policy of a scope in a document."""
    policy = document.policy(scope)
    rules = document.rules
    return RecordingPolicy(
        scope=scope,
        account_id=strawberry.ID(document.account_id),
        id=strawberry.ID(document.id),
        cells=_cells(policy or {}),
        fill=document.fill if policy is not None else None,
        locks=[
            PolicyLock(
                kind=lock.kind,
                direction=lock.direction,
                network=lock.network,
                numbers=list(lock.numbers),
                exceptions=list(lock.exceptions),
            )
            for lock in rules.locks
        ],
        consent=rules.consent,
        duplicates=rules.duplicates,
        call_recording=None if policy is None else JSON(policy),
        revision=document.revision,
        modified=DateTime(document.modified) if document.revision else None,
    )


def _cells(policy: Mapping[str, Any]) -> list[PolicyCell]:
    return [
        _cell(direction, network, networks[network.value])
        for direction in PolicyDirection
        if (networks := policy.get(str(direction.value)))
        for network in PolicyNetwork
        if network.value in networks
    ]


def _cell(direction: PolicyDirection, network: PolicyNetwork, cell: Mapping[str, Any]) -> PolicyCell:
    # Other releases and imports may have stored other values.
    form, rate = cell.get("format"), cell.get("record_sample_rate")
    options = {
        name: cell.get(name) for name in ("record_min_sec", "record_on_answer", "record_on_bridge", "time_limit", "url")
    } | {
        "format": RecordingFormat(form) if form in FORMATS else None,
        "record_sample_rate": SampleRate(nearest_sample_rate(rate)) if isinstance(rate, int) else None,
    }
    enabled = cell.get("enabled")
    return PolicyCell(direction=direction, network=network, decision=decision_of(enabled), **options)


def decision_of(enabled: bool | None) -> Decision | None:
    """Return the decision of a cell; `None` if the cell does not say."""
    if enabled is None:
        return None
    return Decision.RECORD if enabled else Decision.DO_NOT_RECORD
