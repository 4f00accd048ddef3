"""Recording policies: which calls are recorded without a request.

The documents are those of Kazoo: an account, a user and a device may each have a `call_recording` object.
`recordings.rules.resolve_policy` makes the decision about a call. docs/policies.md explains the rules to users.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recordings.model.call import Call, Network
from recordings.model.instants import Millis
from recordings.model.policy_trace import ConsentNeed, Decision, Fill, PolicySource
from recordings.model.recording import Direction

CALL_RECORDING: Final = "call_recording"
"""The key of the policy in a document."""
Cell = tuple[Direction, Network]
CELLS: Final[tuple[Cell, ...]] = tuple((direction, network) for direction in Direction for network in Network)
CellOptions = Mapping[str, Any]
"""The settings of one cell, such as `enabled`, `format` and `time_limit`."""


class DocumentKind(StrEnum):
    """The kind of object that a document belongs to."""

    ACCOUNT = "account"
    USER = "user"
    DEVICE = "device"


class PolicyScope(StrEnum):
    """The calls that a policy is for.

    An account's document has two policies: one for all calls of the account, and the default of its users and devices.
    """

    ACCOUNT = "ACCOUNT"
    ENDPOINT_DEFAULT = "ENDPOINT_DEFAULT"
    USER = "USER"
    DEVICE = "DEVICE"

    @property
    def kind(self) -> DocumentKind:
        """The kind of document that has this policy."""
        return DocumentKind(self.lower()) if self.account_key is None else DocumentKind.ACCOUNT

    @property
    def account_key(self) -> str | None:
        """The key of this policy in an account's `call_recording`; `None` for a user and a device."""
        return {"ACCOUNT": "account", "ENDPOINT_DEFAULT": "endpoint"}.get(self)


class LockKind(StrEnum):
    """What a lock does. `NEVER` takes precedence over `FORCE`."""

    FORCE = "FORCE"
    NEVER = "NEVER"


class Duplicates(StrEnum):
    """How many recordings a call gets if the account's policy and the endpoint's policy both record it."""

    ONE = "ONE"
    SEPARATE = "SEPARATE"


@dataclass(frozen=True, slots=True)
class Lock:
    """A setting of the account that no user, device or request can change.

    It applies to the calls of a direction and a network (`None`: of all) with one of the `numbers` (empty: with any),
    except to calls with one of the `exceptions`. A number that ends in `*` is a prefix.
    """

    kind: LockKind
    direction: Direction | None = None
    network: Network | None = None
    numbers: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """The settings of an account that Kazoo's document does not have. A document of a v2 client never changes them."""

    locks: tuple[Lock, ...] = ()
    consent: ConsentNeed = ConsentNeed.NOT_NEEDED
    duplicates: Duplicates = Duplicates.ONE


@dataclass(frozen=True, kw_only=True)
class PolicyDocument:
    """The document of an account, a user or a device, as clients wrote it.

    `fill` is `None` while `body` has no `call_recording`. Only an account uses `rules`. A document that was never
    written has the revision 0.
    """

    account_id: str
    kind: DocumentKind
    id: str
    body: Mapping[str, Any] = field(default_factory=dict)
    fill: Fill | None = None
    rules: PolicyRules = field(default_factory=PolicyRules)
    revision: int = 0
    modified: Millis = 0

    @property
    def owner_id(self) -> str | None:
        """The user whose device this is, if the body names one."""
        owner = self.body.get("owner_id")
        return owner if isinstance(owner, str) and owner else None

    def policy(self, scope: PolicyScope) -> Mapping[str, Any] | None:
        """Return the `call_recording` of a scope; `None` if there is none."""
        found: Any = self.body.get(CALL_RECORDING)
        if scope.account_key is not None:
            found = found.get(scope.account_key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else None


@dataclass(frozen=True, slots=True)
class PolicyDocuments:
    """The documents that matter for a call. `None`: there is no such document, or the call names none."""

    account: PolicyDocument | None = None
    user: PolicyDocument | None = None
    device: PolicyDocument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCall:
    """What a policy needs to know of a call.

    - `direction`: seen from the account. Inbound is a call to it.
    - `from_network`, `to_network`: `None` if the recorder does not know it.
    - `numbers`: the numbers of both parties.
    - `record`: whether the sender of the audio asks to record the call; `None` if it does not say.
    """

    direction: Direction = Direction.INBOUND
    from_network: Network | None = None
    to_network: Network | None = None
    numbers: tuple[str, ...] = ()
    record: bool | None = None

    @property
    def network(self) -> Network | None:
        """The network of the other party: the caller of an inbound call, the callee of an outbound one."""
        return self.from_network if self.direction is Direction.INBOUND else self.to_network

    @classmethod
    def of(cls, call: Call) -> "PolicyCall":
        """Return what a policy needs to know of a live call. Without a direction, a call counts as inbound."""
        numbers = (call.from_, call.to, call.caller_id_number, call.callee_id_number)
        return cls(
            direction=call.direction or Direction.INBOUND,
            from_network=call.from_network,
            to_network=call.to_network,
            numbers=tuple(number for number in numbers if number),
            record=call.record,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The setting of one policy for a call. `enabled` is `None` if the policy does not say."""

    scope: PolicyScope
    document_id: str
    revision: int
    fill: Fill | None
    cell: str
    enabled: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTake:
    """A recording that a policy starts. The fields are those of `recordings.model.policy_trace.PolicyTrace`.

    `origin` is `None` if no policy asks for the recording, but a request or a lock does.
    """

    source: PolicySource
    options: CellOptions = field(default_factory=dict)
    document_id: str | None = None
    revision: int | None = None
    cell: str | None = None
    fill: Fill | None = None
    reasons: tuple[str, ...] = ()
    locked: bool = False
    part: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decision about a call: its recordings, and why.

    `refused` is true if a lock forbids to record the call. `because` names the setting that decided.
    """

    source: PolicySource
    because: str
    takes: tuple[PlannedTake, ...] = ()
    levels: tuple[Level, ...] = ()
    refused: bool = False
    consent: ConsentNeed = ConsentNeed.NOT_NEEDED

    @property
    def decision(self) -> Decision:
        """Whether the call is recorded."""
        return Decision.RECORD if self.takes else Decision.DO_NOT_RECORD
