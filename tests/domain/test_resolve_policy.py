"""The resolver of recording policies: Kazoo's cases, a literal model of Kazoo's merge, locks, requests and modes."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.model.call import Network
from recordings.model.policy_trace import Decision, Fill, PolicySource
from recordings.model.recording import Direction
from recordings.model.recording_policy import (
    CELLS,
    DocumentKind,
    Duplicates,
    Lock,
    LockKind,
    Plan,
    PolicyCall,
    PolicyDocument,
    PolicyDocuments,
    PolicyRules,
    PolicyScope,
)
from recordings.rules.policy_cells import Layers, layers_of
from recordings.rules.resolve_policy import options_of, plan, warnings
from tests.domain import kazoo_policy_model as kazoo

ONNET, OFFNET = Network
INBOUND, OUTBOUND = Direction
ALL_ON = {direction: {network: {"enabled": True} for network in Network} for direction in Direction}
ALL_OFF = {direction: {network: {"enabled": False} for network in Network} for direction in Direction}
CALLS = [
    PolicyCall(direction=direction, from_network=origin, to_network=target)
    for direction, origin, target in itertools.product(Direction, Network, Network)
]


def document(kind: DocumentKind, policy: Any, fill: Fill | None = Fill.COMPATIBLE, **given: Any) -> PolicyDocument:
    body = {} if policy is None else {"call_recording": policy}
    return PolicyDocument(account_id="a", kind=kind, id=f"{kind}-1", body=body, fill=fill, revision=7, **given)


def documents(
    account: Any = None,
    user: Any = None,
    device: Any = None,
    *,
    fill: Fill | None = Fill.COMPATIBLE,
    rules: PolicyRules | None = None,
) -> PolicyDocuments:
    return PolicyDocuments(
        document(DocumentKind.ACCOUNT, account, fill, rules=rules or PolicyRules()),
        document(DocumentKind.USER, user, fill),
        document(DocumentKind.DEVICE, device, fill),
    )


def decide(found: PolicyDocuments, call: PolicyCall) -> Plan:
    return plan(layers_of(found), call)


def inbound(network: Network | None = OFFNET, **given: Any) -> PolicyCall:
    return PolicyCall(direction=INBOUND, from_network=network, to_network=network and ONNET, **given)


# Kazoo's own cases

NINE = {
    "all_off": ({"account": ALL_OFF}, ALL_OFF, ALL_OFF, False, False),
    "all_on": ({"account": ALL_ON}, ALL_ON, ALL_ON, True, True),
    "device_on": ({"account": ALL_OFF}, ALL_OFF, ALL_ON, False, True),
    "device_off_user_on": ({"account": ALL_OFF}, ALL_ON, ALL_OFF, False, False),
    "device_undefined_user_on": ({"account": ALL_OFF}, ALL_ON, None, False, True),
    "device_off_user_off_account_on": ({"account": ALL_ON}, ALL_OFF, ALL_OFF, True, False),
    "device_undefined_user_off_account_on": ({"account": ALL_ON}, ALL_OFF, None, True, False),
    "device_undefined_user_undefined_account_on": ({"account": ALL_ON}, None, None, True, False),
    "empty_device": ({"account": ALL_ON}, {}, {}, True, False),
}


@pytest.mark.parametrize("case", NINE)
def test_bar_1_the_nine_cases_of_kazoo(case: str) -> None:
    account, user, device, of_account, of_endpoint = NINE[case]
    found = documents(account, user, device, rules=PolicyRules(duplicates=Duplicates.SEPARATE))
    for call in CALLS:
        takes = decide(found, call).takes
        assert [take.part for take in takes] == [""] * of_endpoint + ["account"] * of_account


TABLE = {
    "a user that sets one cell turns the others off": (
        {"endpoint": ALL_ON},
        {"inbound": {"offnet": {"enabled": True}}},
        None,
        {(INBOUND, OFFNET)},
    ),
    "a device that sets only an option turns all cells off": (
        None,
        ALL_ON,
        {"inbound": {"onnet": {"time_limit": 60}}},
        set(),
    ),
    "an empty device changes nothing": (None, ALL_ON, {}, set(CELLS)),
    "the network beats the direction": (
        None,
        {"any": {"onnet": {"enabled": False}}, "inbound": {"any": {"enabled": True}}},
        None,
        {(INBOUND, OFFNET)},
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_bar_1_the_table_of_consequences(case: str) -> None:
    account, user, device, on = TABLE[case]
    for direction, network in CELLS:
        call = PolicyCall(direction=direction, from_network=network, to_network=network)
        assert bool(decide(documents(account, user, device), call).takes) == ((direction, network) in on)


def test_bar_1_fields_of_several_documents_mix() -> None:
    user = {"inbound": {"any": {"enabled": True, "url": "https://x.example/", "format": "wav"}}}
    found = documents(None, user, {"inbound": {"offnet": {"enabled": True, "time_limit": 60}}})
    (take,) = decide(found, inbound()).takes
    options = options_of(take)
    assert (options.url, options.format, options.time_limit) == ("https://x.example/", "wav", 60)
    assert (take.source, take.document_id, take.cell) == (PolicySource.DEVICE, "device-1", "inbound.offnet")


# The literal model

_CELL = st.sampled_from(
    [None, {}, {"enabled": True}, {"enabled": False}, {"time_limit": 60}, {"enabled": True, "format": "wav"}]
)


def _without_absent(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None}


_NETWORKS = st.fixed_dictionaries({}, optional=dict.fromkeys(("any", "onnet", "offnet"), _CELL)).map(_without_absent)
_POLICY = st.fixed_dictionaries({}, optional=dict.fromkeys(("any", "inbound", "outbound"), _NETWORKS))
_ACCOUNT = st.fixed_dictionaries({}, optional={"account": _POLICY, "endpoint": _POLICY})


def compare(account: Any, user: Any, device: Any) -> None:
    rules = PolicyRules(duplicates=Duplicates.SEPARATE)
    layers = layers_of(documents(account, user, device, rules=rules))
    model = kazoo.merged(account, user, device)
    for call in CALLS:
        expected = kazoo.starts(model, call.direction, str(call.from_network), str(call.to_network))
        found = {take.part or "endpoint": take for take in plan(layers, call).takes}
        assert {part: take.origin for part, take in found.items()} == {
            part: origin for part, (origin, _) in expected.items()
        }
        for part, (_, cell) in expected.items():
            wanted = {name: value for name, value in cell.items() if name != "enabled"}
            if part == "endpoint" and call.direction is INBOUND:
                wanted |= {"record_on_answer": True, "record_on_bridge": False}
            assert found[part].options == wanted


@settings(max_examples=150)
@given(_ACCOUNT, st.none() | _POLICY, st.none() | _POLICY)
def test_bar_1_random_documents_agree_with_the_model(account: Any, user: Any, device: Any) -> None:
    compare(account, user, device)


def test_bar_1_all_settings_of_eight_cells_agree_with_the_model() -> None:
    """Each cell of a user and a device is absent, on or off: 3**8 pairs of documents, each with 8 calls."""
    policies: list[Any] = []
    for cells in itertools.product((None, True, False), repeat=4):
        policy: dict[str, Any] = {}
        for (direction, network), enabled in zip(CELLS, cells, strict=True):
            if enabled is not None:
                policy.setdefault(direction, {})[network] = {"enabled": enabled}
        policies.append(policy)
    expanded = [kazoo.endpoint_recording(policy) for policy in policies]
    users = [layers_of(PolicyDocuments(user=document(DocumentKind.USER, policy))).endpoint for policy in policies]
    devices = [layers_of(PolicyDocuments(device=document(DocumentKind.DEVICE, policy))).endpoint for policy in policies]
    compared = 0
    for (user, above), (device, below) in itertools.product(
        zip(users, expanded, strict=True), zip(devices, expanded, strict=True)
    ):
        layers, model = Layers(endpoint=(*user, *device)), kazoo.merge(above, below)
        for call in CALLS:
            expected = kazoo.starts(model, call.direction, str(call.from_network), str(call.to_network))
            assert bool(plan(layers, call).takes) == bool(expected)
            compared += 1
    assert compared == 3**8 * 8


# The other mode, unknown networks, requests and locks


@given(_POLICY, _POLICY, st.sampled_from(CALLS))
def test_in_the_mode_inherit_a_cell_is_the_most_specific_one_that_is_set(
    user: Any, device: Any, call: PolicyCall
) -> None:
    decided = decide(documents(None, user, device, fill=Fill.INHERIT), call)
    said = []
    for policy in (device, user):
        either = [policy.get("any", {}), policy.get(call.direction, {})]
        names = ("any", call.network)
        # The order of precedence in one document: the network first, then the direction.
        cells = [level.get(name, {}).get("enabled") for name in reversed(names) for level in reversed(either)]
        said += [value for value in cells if value is not None]
    assert bool(decided.takes) == (said[0] if said else False)


def test_in_the_mode_inherit_an_absent_cell_keeps_the_setting_above() -> None:
    user = {"inbound": {"offnet": {"enabled": True}}}
    for fill, recorded in ((Fill.COMPATIBLE, False), (Fill.INHERIT, True)):
        found = PolicyDocuments(
            document(DocumentKind.ACCOUNT, {"endpoint": ALL_ON}), document(DocumentKind.USER, user, fill)
        )
        decided = decide(found, inbound(ONNET))
        assert (decided.decision is Decision.RECORD) == recorded
        assert decided.source is (PolicySource.ENDPOINT_DEFAULT if recorded else PolicySource.USER)


@pytest.mark.parametrize(
    ("policy", "recorded"),
    [
        ({"any": {"any": {"enabled": True}}}, True),
        ({"inbound": {"any": {"enabled": True}}}, True),
        (ALL_ON, True),
        ({"inbound": {"offnet": {"enabled": True}}}, False),
        ({"outbound": {"any": {"enabled": True}}}, False),
    ],
)
def test_an_unknown_network_is_recorded_if_both_networks_are(policy: Any, recorded: bool) -> None:
    decided = decide(documents(None, policy), inbound(None))
    assert bool(decided.takes) == recorded
    assert [level.cell for level in decided.levels] == ["inbound.unknown"]
    if recorded:
        assert decided.takes[0].origin == "inbound from unknown to endpoint"


NEVER, FORCE = Lock(LockKind.NEVER), Lock(LockKind.FORCE)


@pytest.mark.parametrize("record", [None, True, False])
def test_a_lock_beats_every_request_and_never_beats_force(record: bool | None) -> None:
    for locks, refused in (((NEVER,), True), ((FORCE,), False), ((FORCE, NEVER), True)):
        decided = decide(documents({"account": ALL_ON}, ALL_ON, rules=PolicyRules(locks)), inbound(record=record))
        assert (decided.refused, bool(decided.takes)) == (refused, not refused)
        assert decided.source is PolicySource.LOCK
        assert all(take.locked for take in decided.takes)


def test_a_lock_forces_a_recording_that_no_policy_has() -> None:
    decided = decide(documents(None, ALL_OFF, rules=PolicyRules((FORCE,))), inbound())
    (take,) = decided.takes
    assert (take.source, take.document_id, take.cell) == (PolicySource.LOCK, "account-1", "inbound.offnet")
    assert take.origin == "inbound from offnet to account"


@pytest.mark.parametrize(
    ("lock", "numbers", "applies"),
    [
        (Lock(LockKind.NEVER, numbers=("+49301234",)), ("0", "+49 30 1234@realm"), True),
        (Lock(LockKind.NEVER, numbers=("+49301234",)), ("+493012345",), False),
        (Lock(LockKind.NEVER, numbers=("+4930*",)), ("4930999",), True),
        (Lock(LockKind.NEVER, numbers=("112", "110")), ("110",), True),
        (Lock(LockKind.NEVER, exceptions=("112",)), ("112",), False),
        (Lock(LockKind.NEVER, exceptions=("112",)), ("1120",), True),
        (Lock(LockKind.NEVER, numbers=("1*",), exceptions=("112",)), ("112",), False),
        (Lock(LockKind.NEVER, direction=OUTBOUND), ("1",), False),
        (Lock(LockKind.NEVER, network=ONNET), ("1",), False),
        (Lock(LockKind.NEVER, INBOUND, OFFNET), ("1",), True),
    ],
)
def test_a_lock_is_for_a_cell_and_numbers_with_exceptions(lock: Lock, numbers: tuple[str, ...], applies: bool) -> None:
    found = documents(None, ALL_ON, rules=PolicyRules((lock,)))
    assert decide(found, inbound(numbers=numbers)).refused == applies


def test_a_lock_never_for_one_network_applies_to_an_unknown_one_and_force_does_not() -> None:
    for kind in LockKind:
        found = documents(None, None, rules=PolicyRules((Lock(kind, network=OFFNET),)))
        decided = decide(found, inbound(None))
        assert (decided.refused, bool(decided.takes)) == (kind is LockKind.NEVER, False)


def test_a_request_records_a_call_that_no_policy_records_and_the_opposite() -> None:
    (take,) = decide(documents(None, ALL_OFF), inbound(record=True)).takes
    assert (take.source, take.origin, take.reasons) == (PolicySource.REQUEST, None, ("request",))
    assert decide(documents(None, ALL_ON), inbound(record=False)).takes == ()


# One recording or two


def test_one_recording_has_the_reasons_of_both_policies() -> None:
    account = {"account": {"any": {"any": {"enabled": True, "format": "wav", "time_limit": 9}}}}
    found = documents(account, {"any": {"any": {"enabled": True, "time_limit": 60, "url": "https://x/"}}})
    (take,) = decide(found, inbound()).takes
    assert take.reasons == ("account.inbound.offnet", "user.inbound.offnet")
    assert take.origin == "inbound from offnet to endpoint"
    options = options_of(take)
    assert (options.format, options.time_limit, options.url) == ("wav", 60, "https://x/")
    # The account's recording does not wait for the answer, so neither does the common one.
    assert not options.record_on_answer
    assert not options.should_follow_transfer


def test_recordings_for_two_urls_and_separate_ones_are_two() -> None:
    def on(**more: Any) -> Any:
        return {"any": {"any": {"enabled": True, **more}}}

    found = documents({"account": on(url="https://a/")}, on(url="https://b/"))
    assert [take.part for take in decide(found, inbound()).takes] == ["", "account"]
    found = documents({"account": on(url="https://a/")}, on())
    assert [options_of(take).url for take in decide(found, inbound()).takes] == ["https://a/"]
    separate = PolicyRules(duplicates=Duplicates.SEPARATE)
    takes = decide(documents({"account": on()}, on(), rules=separate), inbound()).takes
    assert [take.origin for take in takes] == ["inbound from offnet to endpoint", "inbound from offnet to account"]


def test_options_of_a_policy_have_the_defaults_of_kazoo() -> None:
    (take,) = decide(documents({"account": ALL_ON}), inbound()).takes
    options = options_of(take)
    assert (options.format, options.record_min_sec, options.time_limit) == ("mp3", 0, 10_800)
    odd = {
        "enabled": True,
        "format": "ogg",
        "time_limit": 1,
        "record_min_sec": -1,
        "record_sample_rate": 8_001,
        "url": "",
    }
    (take,) = decide(documents({"account": {"any": {"any": odd}}}), inbound()).takes
    options = options_of(take)
    assert (options.format, options.time_limit, options.record_min_sec) == ("mp3", 5, 0)
    assert (options.record_sample_rate, options.url) == (8_000, None)


# Explanations


@pytest.mark.parametrize("scope", PolicyScope)
@pytest.mark.parametrize("cell", CELLS, ids=".".join)
def test_bar_7_the_plan_names_the_winning_document_and_cell(
    scope: PolicyScope, cell: tuple[Direction, Network]
) -> None:
    direction, network = cell
    policy = {direction: {network: {"enabled": True}}}
    given: dict[str, Any] = {scope.kind: {scope.account_key: policy} if scope.account_key else policy}
    own = ONNET
    networks = (network, own) if direction is INBOUND else (own, network)
    call = PolicyCall(direction=direction, from_network=networks[0], to_network=networks[1])
    decided = decide(documents(**given), call)
    assert (decided.source, decided.takes[0].document_id) == (PolicySource(scope.value), f"{scope.kind}-1")
    assert (decided.takes[0].cell, decided.takes[0].revision) == (f"{direction}.{network}", 7)
    assert f"{scope.kind}-1 has {direction}.{network} on" in decided.because


def test_a_policy_that_is_off_is_named() -> None:
    decided = decide(documents({"endpoint": ALL_ON}, ALL_OFF), inbound())
    assert decided.because == "the user policy of user-1 has inbound.offnet off"
    assert decide(documents(), inbound()).because == "no policy says to record inbound.offnet"


def test_a_document_that_turns_off_settings_above_it_is_a_warning() -> None:
    found = documents({"endpoint": ALL_ON}, {"inbound": {"offnet": {"enabled": True}}})
    (warning,) = warnings(layers_of(found))
    assert warning == (
        "the user policy of user-1 turns off inbound.onnet, outbound.onnet, outbound.offnet, which the "
        "endpoint default of account-1 has on"
    )
    assert warnings(layers_of(documents({"endpoint": ALL_ON}, {"inbound": {}}, fill=Fill.INHERIT))) == []


def test_an_older_record_call_records_all_four_cells() -> None:
    for legacy in (True, {"time_limit": 60}):
        user = PolicyDocument(account_id="a", kind=DocumentKind.USER, id="u", body={"record_call": legacy})
        for call in CALLS:
            assert decide(PolicyDocuments(user=user), call).takes
    unused = PolicyDocument(
        account_id="a", kind=DocumentKind.USER, id="u", body={"record_call": True, "call_recording": {}}
    )
    assert not decide(PolicyDocuments(user=unused), inbound()).takes
