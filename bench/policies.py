"""Compare the cost of a policy decision with that of Kazoo's merge: `python -m bench.policies`.

Each round decides the same calls with both sides. The documents of the account, the user and the device have all cells,
and the account has a lock. `new` decisions are the first ones after a change of a document. The merge is a translation
of Kazoo's code, which merges the documents for each call.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from recordings.model.call import Network
from recordings.model.recording import Direction
from recordings.model.recording_policy import (
    DocumentKind,
    Lock,
    LockKind,
    PolicyCall,
    PolicyDocument,
    PolicyDocuments,
    PolicyRules,
)
from recordings.rules.policy_cells import layers_of
from recordings.rules.resolve_policy import plan
from tests.domain import kazoo_policy_model as kazoo

_ON: dict[str, Any] = {
    direction.value: {network.value: {"enabled": True} for network in Network} for direction in Direction
}
_ACCOUNT: dict[str, Any] = {"account": _ON, "endpoint": _ON}
_CALLS = [
    PolicyCall(
        direction=direction, from_network=origin, to_network=target, numbers=("+493012345", "1001", "+493012345")
    )
    for direction in Direction
    for origin in Network
    for target in Network
]


def _document(kind: DocumentKind, policy: Mapping[str, object]) -> PolicyDocument:
    rules = PolicyRules((Lock(LockKind.NEVER, numbers=("112", "110", "+4989*")),))
    return PolicyDocument(account_id="a", kind=kind, id=kind, body={"call_recording": policy}, rules=rules)


def _ours() -> None:
    for call in _CALLS:
        plan(_LAYERS, call)


def _new() -> None:
    for call in _CALLS:
        plan(layers_of(_DOCUMENTS), call)


def _kazoo() -> None:
    for call in _CALLS:
        model = kazoo.merged(_ACCOUNT, _ON, _ON)
        kazoo.starts(model, call.direction, str(call.from_network), str(call.to_network))


_DOCUMENTS = PolicyDocuments(
    _document(DocumentKind.ACCOUNT, _ACCOUNT),
    _document(DocumentKind.USER, _ON),
    _document(DocumentKind.DEVICE, _ON),
)
_LAYERS = layers_of(_DOCUMENTS)


def _microseconds(decide: Callable[[], None], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        decide()
    return (time.process_time() - began) / repeats / len(_CALLS) * 1_000_000


def main() -> None:
    """Measure both sides in turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    sides = ((_ours, 500), (_new, 50), (_kazoo, 50))
    measured = [[_microseconds(decide, repeats) for decide, repeats in sides] for _ in range(rounds)]
    ours, new, theirs = (statistics.median(side) for side in zip(*measured, strict=True))
    print(f"decision {ours:.1f} us, new decision {new:.1f} us, Kazoo's merge {theirs:.1f} us")
    print(f"ratio to Kazoo's merge: {ours / theirs:.2f}, new {new / theirs:.2f}")


if __name__ == "__main__":
    main()
