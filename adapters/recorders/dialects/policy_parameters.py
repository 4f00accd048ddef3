"""The parameters of a stream that are for recording policies (docs/policies.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recordings.model.call import Network
from recordings.model.recording import Direction

_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONSENT: Final = {"given": True, "refused": False}
_NETWORKS: Final = ("onnet", "offnet")
ALLOWED: Final[Mapping[str, Sequence[str]]] = {
    "network": _NETWORKS,
    "from_network": _NETWORKS,
    "to_network": _NETWORKS,
    "record": tuple(_BOOLEANS),
    "consent": tuple(_CONSENT),
}
"""The values of each parameter, in any case."""
POLICY_PARAMETERS: Final = frozenset(ALLOWED)
_RESOURCE_TYPES: Final = {"offnet-origination": "from_network", "offnet-termination": "to_network"}
"""Kazoo's variable `Resource-Type`, and the party that is at a carrier."""


@dataclass(frozen=True, slots=True)
class PolicyParameters:
    """What a sender says for the policies. `None` means that it does not say."""

    from_network: Network | None = None
    to_network: Network | None = None
    record: bool | None = None
    consent: bool | None = None


def read_policy_parameters(
    fields: Mapping[str, str], variables: Mapping[str, str], direction: Direction | None
) -> PolicyParameters:
    """Read the parameters. Values that are not known count as missing, in any case.

    `network` is the network of the other party: the caller of an inbound call, the callee of an outbound one. The
    account's own party is then on the network `onnet`.
    """
    party, own = ("to_network", "from_network") if direction is Direction.OUTBOUND else ("from_network", "to_network")
    networks: dict[str, Network | None] = {}
    resource = _RESOURCE_TYPES.get(variables.get("Resource-Type", "").lower())
    if resource is not None:
        networks[resource] = Network.OFFNET
    if (network := _network(fields.get("network"))) is not None:
        networks = {own: Network.ONNET, party: network}
    for name in ("from_network", "to_network"):
        networks[name] = _network(fields.get(name)) or networks.get(name)
    return PolicyParameters(
        networks["from_network"],
        networks["to_network"],
        _BOOLEANS.get(fields.get("record", "").lower()),
        _CONSENT.get(fields.get("consent", "").lower()),
    )


def _network(text: str | None) -> Network | None:
    name = (text or "").lower()
    return Network(name) if name in _NETWORKS else None
