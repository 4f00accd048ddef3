"""The decision about a call: is it recorded, by which setting, and with which options.

The first match wins:

1. A lock NEVER of the account.
2. A lock FORCE of the account.
3. The sender of the audio asks to record the call, or not to record it. So does a client that starts or stops a
   recording; this module does not see those requests.
4. The endpoint's policy: the device, then the user, then the account's default. Options are merged field by field.
5. Independent of 4: the account's policy for all its calls.

The merge is that of Kazoo: `merge_attribute` of `kz_endpoint_v4.erl` and `maybe_start_recording` of `cf_route_win.erl`
(master). `plan` does no I/O.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from recordings.model.call import Network
from recordings.model.options import (
    FORMATS,
    MAX_TIME_LIMIT,
    MIN_TIME_LIMIT,
    PARAMETERS,
    RecordingOptions,
    nearest_sample_rate,
)
from recordings.model.policy_trace import PolicySource
from recordings.model.recording import Direction
from recordings.model.recording_policy import (
    Cell,
    CellOptions,
    Duplicates,
    Level,
    Lock,
    LockKind,
    Plan,
    PlannedTake,
    PolicyCall,
    PolicyScope,
)
from recordings.rules.policy_cells import Layer, Layers
from recordings.rules.policy_locks import describe_lock, find_lock

ACCOUNT_PART: Final = "account"
"""The `part` of the account's own recording if an account has separate recordings."""
UNKNOWN: Final = "unknown"
_ENABLED: Final = "enabled"
_ON_ANSWER: Final = "record_on_answer"
_ON_BRIDGE: Final = "record_on_bridge"
_MAX_MIN_SEC: Final = PARAMETERS["record_min_sec"].maximum or 0


def plan(layers: Layers, call: PolicyCall) -> Plan:
    """Return the decision about a call."""
    locks = layers.rules.locks
    never = find_lock(locks, LockKind.NEVER, call) if locks else None
    force = find_lock(locks, LockKind.FORCE, call) if locks else None
    # Nothing else of a call matters, so most calls need no new plan.
    key = (call.direction, call.from_network, call.to_network, call.record, never, force)
    found = layers.plans.get(key)
    if found is None:
        found = layers.plans[key] = _plan_of(layers, call, never, force)
    return found


def _plan_of(layers: Layers, call: PolicyCall, never: Lock | None, force: Lock | None) -> Plan:
    endpoint_levels, endpoint = _endpoint(layers.endpoint, call)
    account_levels, account = _account(layers.account, call)
    levels = (*endpoint_levels, *account_levels)
    if never is not None:
        because = f"the account {layers.account_id} has a lock NEVER for {describe_lock(never)}"
        return replace(_plan(layers, PolicySource.LOCK, because, (), levels), refused=True)
    takes = _combined(account, endpoint, layers.rules.duplicates)
    if force is not None:
        because = f"the account {layers.account_id} has a lock FORCE for {describe_lock(force)}"
        takes = tuple(replace(take, locked=True) for take in takes) or (_forced(layers, call),)
        return _plan(layers, PolicySource.LOCK, because, takes, levels)
    if call.record is not None:
        return _requested(layers, takes, levels, record=call.record)
    if takes:
        return _plan(layers, takes[0].source, _because(takes[0]), takes, levels)
    return _not_recorded(layers, call, levels)


def _requested(layers: Layers, takes: tuple[PlannedTake, ...], levels: tuple[Level, ...], *, record: bool) -> Plan:
    if not record:
        because = "the sender of the audio asks not to record the call"
        return _plan(layers, PolicySource.REQUEST, because, (), levels)
    because = "the sender of the audio asks to record the call"
    takes = takes or (PlannedTake(source=PolicySource.REQUEST, reasons=("request",)),)
    return _plan(layers, PolicySource.REQUEST, because, takes, levels)


def _not_recorded(layers: Layers, call: PolicyCall, levels: tuple[Level, ...]) -> Plan:
    decided = next((level for level in levels if level.enabled is False), None)
    if decided is None:
        because = f"no policy says to record {_cell_name(call.direction, call.network)}"
        return _plan(layers, PolicySource.DEFAULT, because, (), levels)
    because = f"the {_describe(decided.scope)} of {decided.document_id} has {decided.cell} off"
    return _plan(layers, PolicySource(decided.scope.value), because, (), levels)


def _plan(
    layers: Layers, source: PolicySource, because: str, takes: tuple[PlannedTake, ...], levels: tuple[Level, ...]
) -> Plan:
    return Plan(source=source, because=because, takes=takes, levels=levels, consent=layers.rules.consent)


# Cells


def _endpoint(layers: Sequence[Layer], call: PolicyCall) -> tuple[tuple[Level, ...], PlannedTake | None]:
    """Return what each policy of the endpoint says, the most specific one first, and the recording."""
    direction, network = call.direction, call.network
    cell = _cell_name(direction, network)
    found = [_cell(layer, direction, network) for layer in layers]
    levels = tuple(_level(layer, cell, options) for layer, options in zip(layers, found, strict=True))[::-1]
    decided = next((level for level in levels if level.enabled is not None), None)
    if decided is None or not decided.enabled:
        return levels, None
    options: dict[str, Any] = {}
    for each in found:
        options.update(each)
    if direction is Direction.INBOUND:
        # Kazoo starts a recording of a called endpoint on the endpoint's own leg, when that leg is answered.
        options |= {_ON_ANSWER: True, _ON_BRIDGE: False}
        origin = f"inbound from {network or UNKNOWN} to endpoint"
    else:
        origin = f"outbound to {network or UNKNOWN} from endpoint"
    return levels, _take(decided, options, origin)


def _account(layer: Layer | None, call: PolicyCall) -> tuple[tuple[Level, ...], PlannedTake | None]:
    """Return what the account's policy says, and the recording.

    Each call has a caller, so the inbound cell of the caller's network comes first. Only if it is off, the outbound
    cell of the callee's network decides.
    """
    if layer is None:
        return (), None
    inbound = _cell(layer, Direction.INBOUND, call.from_network)
    if inbound.get(_ENABLED) is True:
        level = _level(layer, _cell_name(Direction.INBOUND, call.from_network), inbound)
        return (level,), _take(level, inbound, f"inbound from {call.from_network or UNKNOWN} to account")
    outbound = _cell(layer, Direction.OUTBOUND, call.to_network)
    if outbound.get(_ENABLED) is True:
        level = _level(layer, _cell_name(Direction.OUTBOUND, call.to_network), outbound)
        return (level,), _take(level, outbound, f"outbound to {call.to_network or UNKNOWN} from account")
    own = inbound if call.direction is Direction.INBOUND else outbound
    return (_level(layer, _cell_name(call.direction, call.network), own),), None


def _cell(layer: Layer, direction: Direction, network: Network | None) -> CellOptions:
    """Return the options of a cell. For an unknown network, return those on which both networks agree."""
    if network is not None:
        return layer.cells.get((direction, network), {})
    onnet, offnet = (layer.cells.get((direction, each), {}) for each in Network)
    return {name: value for name, value in onnet.items() if offnet.get(name) == value}


def _level(layer: Layer, cell: str, options: CellOptions) -> Level:
    return Level(
        scope=layer.scope,
        document_id=layer.document_id,
        revision=layer.revision,
        fill=layer.fill,
        cell=cell,
        enabled=options.get(_ENABLED),
    )


def _take(level: Level, options: CellOptions, origin: str) -> PlannedTake:
    return PlannedTake(
        source=PolicySource(level.scope.value),
        options={name: value for name, value in options.items() if name != _ENABLED},
        document_id=level.document_id,
        revision=level.revision,
        cell=level.cell,
        fill=level.fill,
        reasons=(f"{level.scope.lower()}.{level.cell}",),
        origin=origin,
    )


def _cell_name(direction: Direction, network: Network | None) -> str:
    return f"{direction}.{network or UNKNOWN}"


# Takes


def _combined(
    account: PlannedTake | None, endpoint: PlannedTake | None, duplicates: Duplicates
) -> tuple[PlannedTake, ...]:
    """Return one recording for both policies, or two if the account wants that or they go to different URLs."""
    separate = duplicates is Duplicates.SEPARATE
    if account is None or endpoint is None:
        only = account or endpoint
        return () if only is None else ((replace(only, part=ACCOUNT_PART) if separate and account else only),)
    urls = {take.options["url"] for take in (account, endpoint) if take.options.get("url")}
    if separate or len(urls) > 1:
        return endpoint, replace(account, part=ACCOUNT_PART)
    options = {**account.options, **endpoint.options}
    # One recording for both begins as soon as one of them does.
    for flag in (_ON_ANSWER, _ON_BRIDGE):
        options[flag] = bool(account.options.get(flag)) and bool(endpoint.options.get(flag))
    return (replace(endpoint, options=options, reasons=(*account.reasons, *endpoint.reasons)),)


def _forced(layers: Layers, call: PolicyCall) -> PlannedTake:
    """Return the recording of a lock, for a call that no policy records."""
    if call.direction is Direction.INBOUND:
        origin = f"inbound from {call.from_network or UNKNOWN} to account"
    else:
        origin = f"outbound to {call.to_network or UNKNOWN} from account"
    return PlannedTake(
        source=PolicySource.LOCK,
        document_id=layers.account_id,
        revision=layers.revision,
        cell=_cell_name(call.direction, call.network),
        reasons=("lock.force",),
        locked=True,
        origin=origin,
    )


def options_of(take: PlannedTake) -> RecordingOptions:
    """Return the options of a policy's recording, with Kazoo's defaults. It ends with its leg.

    The values have been checked, but other releases and imports may have stored others. A recording must not fail for
    that, so a value that cannot be used counts as missing.
    """
    given = take.options
    rate = _integer(given, "record_sample_rate")
    return RecordingOptions(
        format=given["format"] if given.get("format") in FORMATS else FORMATS[0],
        record_min_sec=min(max(0, _integer(given, "record_min_sec") or 0), _MAX_MIN_SEC),
        record_on_answer=given.get(_ON_ANSWER) is True,
        record_on_bridge=given.get(_ON_BRIDGE) is True,
        record_sample_rate=None if rate is None else nearest_sample_rate(rate),
        should_follow_transfer=False,
        time_limit=min(max(_integer(given, "time_limit") or MAX_TIME_LIMIT, MIN_TIME_LIMIT), MAX_TIME_LIMIT),
        url=given["url"] if isinstance(given.get("url"), str) and given["url"] else None,
    )


def _integer(options: CellOptions, name: str) -> int | None:
    value = options.get(name)
    return value if type(value) is int else None


# Texts


def _because(take: PlannedTake) -> str:
    return f"the {_describe(PolicyScope(take.source.value))} of {take.document_id} has {take.cell} on"


def _describe(scope: PolicyScope) -> str:
    return {
        PolicyScope.ACCOUNT: "account policy",
        PolicyScope.ENDPOINT_DEFAULT: "endpoint default",
        PolicyScope.USER: "user policy",
        PolicyScope.DEVICE: "device policy",
    }[scope]


def warnings(layers: Layers) -> list[str]:
    """Return a text for each document that turns off a setting that the document above it turned on."""
    found = []
    merged: dict[Cell, bool] = {}
    above: Layer | None = None
    for layer in layers.endpoint:
        own = {cell: options[_ENABLED] for cell, options in layer.cells.items() if _ENABLED in options}
        turned_off = [_cell_name(*cell) for cell, enabled in own.items() if not enabled and merged.get(cell)]
        if turned_off and above is not None:
            found.append(
                f"the {_describe(layer.scope)} of {layer.document_id} turns off {', '.join(turned_off)}, which the "
                f"{_describe(above.scope)} of {above.document_id} has on"
            )
        merged |= own
        above = layer
    return found
