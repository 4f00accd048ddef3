"""The four cells of a policy: direction and network.

Kazoo fills a document before it merges it with others (`merge_call_recording` of `kz_endpoint_v4.erl`, master):

1. The direction `any` goes under `inbound` and `outbound`.
2. In each direction, the network `any` goes under `onnet` and `offnet`. A direction without the network `any` has
   `{enabled: false}` there.

So an absent cell is off. The fill `INHERIT` leaves out that last part, and an absent cell inherits. An empty document
has no cells in both modes, as in Kazoo 4.3.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recordings.model.call import Network
from recordings.model.policy_trace import Fill
from recordings.model.recording import Direction
from recordings.model.recording_policy import (
    Cell,
    CellOptions,
    Plan,
    PolicyDocument,
    PolicyDocuments,
    PolicyRules,
    PolicyScope,
)

ANY: Final = "any"
_OFF: Final[CellOptions] = {"enabled": False}
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Layer:
    """One policy with its expanded cells. A cell that is not there inherits."""

    scope: PolicyScope
    document_id: str
    revision: int
    fill: Fill | None
    cells: Mapping[Cell, CellOptions]


@dataclass(frozen=True, slots=True)
class Layers:
    """The policies for a call. `endpoint` has the account's default first and the device last."""

    account: Layer | None = None
    endpoint: tuple[Layer, ...] = ()
    rules: PolicyRules = field(default_factory=PolicyRules)
    account_id: str = ""
    revision: int = 0
    """The id and the revision of the account's document, which has the rules."""
    plans: dict[Hashable, Plan] = field(default_factory=dict, compare=False, repr=False)
    """The decisions that were made with these policies."""


def layers_of(documents: PolicyDocuments) -> Layers:
    """Return the policies of documents. This is done once for each document, and not for each call."""
    account, user, device = documents.account, documents.user, documents.device
    scoped = ((PolicyScope.ENDPOINT_DEFAULT, account), (PolicyScope.USER, user), (PolicyScope.DEVICE, device))
    endpoint = tuple(layer for scope, document in scoped if (layer := _layer(scope, document)) is not None)
    if account is None:
        return Layers(None, endpoint)
    return Layers(_layer(PolicyScope.ACCOUNT, account), endpoint, account.rules, account.id, account.revision)


def _layer(scope: PolicyScope, document: PolicyDocument | None) -> Layer | None:
    policy = None if document is None else policy_of(document, scope)
    if document is None or not policy:
        return None
    return Layer(scope, document.id, document.revision, document.fill, expand(policy, document.fill))


def policy_of(document: PolicyDocument, scope: PolicyScope) -> Mapping[str, Any] | None:
    """Return the policy of a document. A `record_call` of older clients counts if there is no `call_recording`."""
    found = document.policy(scope)
    if found is not None or scope.account_key is not None:
        return found
    legacy = document.body.get("record_call")
    settings = legacy if isinstance(legacy, Mapping) else {}
    return {ANY: {ANY: {**settings, "enabled": True}}} if legacy is True or settings else None


def expand(policy: Mapping[str, Any], fill: Fill | None) -> Mapping[Cell, CellOptions]:
    """Return the cells of a policy. `fill` decides about a cell that the policy does not have."""
    if not policy:
        return {}
    default = _NOTHING if fill is Fill.INHERIT else _OFF
    every_direction = _object(policy, ANY)
    cells: dict[Cell, CellOptions] = {}
    for direction in Direction:
        networks = _merged(every_direction, _object(policy, direction))
        every_network = _object(networks, ANY) if isinstance(networks.get(ANY), Mapping) else default
        for network in Network:
            if cell := {**every_network, **_object(networks, network)}:
                cells[direction, network] = cell
    return cells


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, Mapping) else _NOTHING


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return two directions merged: the second one takes precedence, setting by setting."""
    networks = dict.fromkeys([*under, *over])
    return {name: {**_object(under, name), **_object(over, name)} for name in networks}
