"""Kazoo's merge of `call_recording` documents, translated line by line from `kz_endpoint_v4.erl` (master).

`cell_of` and `starts` translate `cf_route_win.erl`, which reads the merged document when a call begins.
"""

from typing import Any

Json = dict[str, Any]


def merge(left: Json, right: Json) -> Json:
    """`kz_json:merge/2`: recursive, the right side wins."""
    merged = dict(left)
    for key, value in right.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def merge_call_recording(settings: Json) -> Json:
    any_direction = settings.get("any", {})
    settings = {key: value for key, value in settings.items() if key != "any"}
    for direction in ("inbound", "outbound"):
        settings = merge_direction(direction, settings, any_direction)
    for direction, networks in list(settings.items()):
        any_network = networks.get("any", {"enabled": False})
        updated = {key: value for key, value in networks.items() if key != "any"}
        for network in ("onnet", "offnet"):
            updated = merge_direction(network, updated, any_network)
        settings[direction] = updated
    return settings


def merge_direction(key: str, settings: Json, any_settings: Json) -> Json:
    found = settings.get(key)
    return {**settings, key: any_settings if found is None else merge(any_settings, found)}


def endpoint_recording(settings: Json | None) -> Json:
    return {"endpoint": merge_call_recording(settings)} if settings else {}


def merged(account: Json | None, user: Json | None, device: Json | None) -> Json:
    """Return the settings of a call: `account` and `endpoint`, each with directions and networks."""
    of_account = {kind: merge_call_recording(settings) for kind, settings in (account or {}).items()}
    return merge(merge(of_account, endpoint_recording(user)), endpoint_recording(device))


def cell_of(settings: Json, kind: str, direction: str, network: str) -> Json | None:
    """Return a cell if it is on."""
    cell: Json = settings.get(kind, {}).get(direction, {}).get(network, {})
    return cell if cell.get("enabled") is True else None


def starts(settings: Json, direction: str, origin: str, target: str) -> dict[str, tuple[str, Json]]:
    """Return the origin and the options of the recordings that start, of the account and of the endpoint.

    `origin` and `target` are the networks of the caller and the callee.
    """
    found = {}
    if cell := cell_of(settings, "account", "inbound", origin):
        found["account"] = (f"inbound from {origin} to account", cell)
    elif cell := cell_of(settings, "account", "outbound", target):
        found["account"] = (f"outbound to {target} from account", cell)
    if direction == "inbound" and (cell := cell_of(settings, "endpoint", "inbound", origin)):
        found["endpoint"] = (f"inbound from {origin} to endpoint", cell)
    if direction == "outbound" and (cell := cell_of(settings, "endpoint", "outbound", target)):
        found["endpoint"] = (f"outbound to {target} from endpoint", cell)
    return found
