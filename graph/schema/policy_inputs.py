"""The inputs of recording policies."""

from typing import Any

import strawberry
from strawberry import UNSET

from graph.schema.camel_case import parameter_description
from graph.schema.enums import (
    ConsentNeed,
    Decision,
    Direction,
    Duplicates,
    Fill,
    LockKind,
    Network,
    PolicyDirection,
    PolicyNetwork,
    PolicyScope,
    RecordingFormat,
    SampleRate,
)
from graph.schema.partial_input import PartialInput
from recordings.model.errors import InvalidInput
from recordings.model.recording_policy import Lock, PolicyCall
from recordings.use_cases.policies import PolicyChange

_OPTIONS = (
    "format",
    "record_min_sec",
    "record_on_answer",
    "record_on_bridge",
    "record_sample_rate",
    "time_limit",
    "url",
)
ACCOUNT_ID = "The global or plain id of the account. Default: the account of the credentials."


def _optional(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


def _option(name: str) -> Any:
    return _optional(f"{parameter_description(name)} Default: the setting of the document above.")


@strawberry.input(description="The setting of a policy for a direction and a network.")
class PolicyCellInput(PartialInput):
    direction: PolicyDirection = strawberry.field(
        default=PolicyDirection.ANY,
        description="The direction, seen from the account. A specific one takes precedence.",
    )
    network: PolicyNetwork = strawberry.field(
        default=PolicyNetwork.ANY, description="The network of the other party. A specific one takes precedence."
    )
    decision: Decision | None = _optional("Whether calls are recorded. Default: inherited, as `fill` says.")
    format: RecordingFormat | None = _option("format")
    record_min_sec: int | None = _option("record_min_sec")
    record_on_answer: bool | None = _option("record_on_answer")
    record_on_bridge: bool | None = _option("record_on_bridge")
    record_sample_rate: SampleRate | None = _optional(
        "Sampling rate of the stored audio in Hz. Default: the setting of the document above."
    )
    time_limit: int | None = _option("time_limit")
    url: str | None = _option("url")

    def settings(self) -> dict[str, Any]:
        """Return the cell of a document."""
        given = {name: getattr(self, name) for name in _OPTIONS}
        cell = {name: getattr(value, "value", value) for name, value in given.items() if value is not None}
        return cell if self.decision is None else {"enabled": self.decision is Decision.RECORD, **cell}


@strawberry.input(description="A setting of an account that no user, device or request can change.")
class PolicyLockInput(PartialInput):
    kind: LockKind = strawberry.field(description="What the lock does.")
    direction: Direction | None = _optional("The direction that it is for. Default: both.")
    network: Network | None = _optional("The network that it is for. Default: both.")
    numbers: list[str] | None = _optional("The numbers that it is for, of any party. `*` ends a prefix. Default: all.")
    exceptions: list[str] | None = _optional("The numbers that it is not for. `*` ends a prefix. Default: none.")

    def lock(self) -> Lock:
        """Return the lock."""
        return Lock(self.kind, self.direction, self.network, tuple(self.numbers or ()), tuple(self.exceptions or ()))


@strawberry.input(description="The new policy of a scope. Fields that are left out do not change.")
class SetRecordingPolicyInput(PartialInput):
    scope: PolicyScope = strawberry.field(description="The calls that the policy is for.")
    id: strawberry.ID | None = _optional("The id of the user or the device. Left out for the account's policies.")
    account_id: strawberry.ID | None = _optional(ACCOUNT_ID)
    cells: list[PolicyCellInput] | None = _optional("All cells of the policy. An empty list removes the policy.")
    fill: Fill | None = _optional(
        "The meaning of the cells that the document does not have. Default: INHERIT for a new policy."
    )
    locks: list[PolicyLockInput] | None = _optional("All locks of the account, only with the scope ACCOUNT.")
    consent: ConsentNeed | None = _optional("The consent that the account needs, only with the scope ACCOUNT.")
    duplicates: Duplicates | None = _optional(
        "How many recordings a call gets if the account's policy and the endpoint's policy record it, only with the "
        "scope ACCOUNT."
    )
    revision: int | None = _optional(
        "The revision that the document must have. If it has another one, the error is `ConflictError`."
    )
    apply_now: bool = strawberry.field(
        default=False,
        description="Also applies the policies to the calls in progress: recordings start, and recordings of policies "
        "end. Recordings that a client or a sender asked for continue.",
    )

    def change(self) -> PolicyChange:
        """Return the change for the use case. `InvalidInput` if two cells are the same one."""
        cells: dict[str, dict[str, Any]] | None = None
        if self.cells is not None:
            cells = {}
            for number, cell in enumerate(self.cells):
                direction, network = str(cell.direction.value), str(cell.network.value)
                networks = cells.setdefault(direction, {})
                if network in networks:
                    allowed = "the only item with its direction and network"
                    given = f"{direction}.{network}"
                    raise InvalidInput.of(("cells", str(number)), "uniqueItems", given, allowed)
                networks[network] = cell.settings()
        return PolicyChange(
            scope=self.scope,
            id=self.id,
            cells=cells,
            fill=self.fill,
            locks=None if self.locks is None else tuple(lock.lock() for lock in self.locks),
            consent=self.consent,
            duplicates=self.duplicates,
            revision=self.revision,
        )


@strawberry.input(description="A call, real or imagined. With `callId`, the other fields replace those of that call.")
class PolicyCallInput(PartialInput):
    call_id: strawberry.ID | None = _optional("The global id or the `callId` of a call in progress.")
    account_id: strawberry.ID | None = _optional(ACCOUNT_ID)
    owner_id: strawberry.ID | None = _optional("The id of the user that the call belongs to.")
    endpoint_id: strawberry.ID | None = _optional("The id of the device that the call uses.")
    direction: Direction | None = _optional("The direction, seen from the account. Default: INBOUND.")
    network: Network | None = _optional("The network of the other party. Default: unknown.")
    from_: str | None = strawberry.field(name="from", default=UNSET, description="The number of the caller.")
    to: str | None = _optional("The number of the callee.")
    record: bool | None = _optional("Whether the sender of the audio asks to record the call.")

    def apply_to(self, call: PolicyCall) -> PolicyCall:
        """Return a call with the given fields."""
        direction = self.direction or call.direction
        networks = (call.from_network, call.to_network)
        if self.network is not None:
            networks = (self.network, Network.ONNET)
            if direction is Direction.OUTBOUND:
                networks = (Network.ONNET, self.network)
        return PolicyCall(
            direction=direction,
            from_network=networks[0],
            to_network=networks[1],
            numbers=tuple(number for number in (self.from_, self.to) if number) or call.numbers,
            record=call.record if self.record is None else self.record,
        )
