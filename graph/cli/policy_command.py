"""`recordings policy`: show and set recording policies, and explain decisions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.shared_options import (
    STORAGE,
    account_option,
    print_json,
    setting_options,
    warn_of_user_name,
    with_services,
)
from recordings.model.account import GRANTABLE, Principal
from recordings.model.call import Network
from recordings.model.instants import to_iso
from recordings.model.policy_trace import ConsentNeed, Decision, Fill
from recordings.model.recording import Direction
from recordings.model.recording_policy import (
    Duplicates,
    Lock,
    LockKind,
    PlannedTake,
    PolicyCall,
    PolicyDocument,
    PolicyScope,
)
from recordings.rules.policy_schema import DIRECTIONS, NETWORKS, SETTINGS
from recordings.use_cases.policies import PolicyChange

if TYPE_CHECKING:
    from graph.services import Services

_CELL: Final = "DIRECTION.NETWORK"


def _choice(kind: Any) -> click.Choice[str]:
    return click.Choice([value.value.lower().replace("_", "-") for value in kind])


def _value(kind: Any, text: str | None) -> Any:
    """Return the member of an enumeration for the text of an option."""
    found = {value.value.lower().replace("_", "-"): value for value in kind}
    return None if text is None else found[text]


_scope: Final = click.option(
    "--scope",
    type=_choice(PolicyScope),
    default="account",
    show_default=True,
    help="All calls of the account, the default of its users and devices, or the calls of one user or device.",
)
_id: Final = click.option("--id", "identity", metavar="ID", help="The id of the user or the device.")


@click.group()
def policy() -> None:
    """Decide which calls are recorded without a request. docs/policies.md explains the rules."""


@policy.command()
@account_option
@_scope
@_id
@setting_options(STORAGE)
def show(account_id: str, scope: str, identity: str | None, options: Mapping[str, str | None]) -> None:
    """Show a policy."""
    _show(options, account_id, _value(PolicyScope, scope), _identity(scope, identity))


@policy.command("set")
@account_option
@_scope
@_id
@click.option("--on", multiple=True, metavar=_CELL, help="Record these calls, for example any.any or inbound.offnet.")
@click.option("--off", multiple=True, metavar=_CELL, help="Do not record these calls.")
@click.option(
    "--option",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of --on, such as time_limit=60.",
)
@click.option("--clear", is_flag=True, help="Remove all cells of the policy.")
@click.option("--fill", type=_choice(Fill), help="The meaning of absent cells. [default: inherit, for a new policy]")
@click.option("--lock", type=_choice(LockKind), help="Replace the locks of the account by this one. See --number.")
@click.option("--number", "numbers", multiple=True, metavar="NUMBER", help="A number of --lock. [default: all]")
@click.option("--except", "exceptions", multiple=True, metavar="NUMBER", help="A number that --lock does not affect.")
@click.option("--no-locks", is_flag=True, help="Remove the locks of the account.")
@click.option("--consent", type=_choice(ConsentNeed), help="The consent that the account needs.")
@click.option("--duplicates", type=_choice(Duplicates), help="How many recordings a call of two policies gets.")
@setting_options(STORAGE)
def set_(account_id: str, scope: str, identity: str | None, options: Mapping[str, str | None], **given: Any) -> None:
    """Set a policy. The cells of --on and --off replace all cells that it has.

    Running servers apply it within a second. Recordings in progress continue.
    """
    lock = _value(LockKind, given["lock"])
    if lock is None and (given["numbers"] or given["exceptions"]):
        raise click.UsageError("--number and --except need --lock")
    locks = (Lock(lock, None, None, given["numbers"], given["exceptions"]),) if lock else ()
    scope_and_id = PolicyChange(scope=_value(PolicyScope, scope), id=_identity(scope, identity))
    change = replace(
        scope_and_id,
        cells=_cells(given["on"], given["off"], given["settings"], clear=given["clear"]),
        fill=_value(Fill, given["fill"]),
        locks=locks if locks or given["no_locks"] else None,
        consent=_value(ConsentNeed, given["consent"]),
        duplicates=_value(Duplicates, given["duplicates"]),
    )
    if change == scope_and_id:
        raise click.UsageError(
            "nothing to change: give --on, --off, --clear, --fill, --lock, --no-locks, --consent or --duplicates"
        )
    _set(options, account_id, change)


@policy.command()
@account_option
@click.option("--owner", "owner_id", metavar="USER_ID", help="The user that the call belongs to.")
@click.option("--device", "endpoint_id", metavar="ID", help="The device that the call uses.")
@click.option("--direction", type=_choice(Direction), default="inbound", show_default=True, help="The direction.")
@click.option("--network", type=_choice(Network), help="The network of the other party. [default: unknown]")
@click.option("--from", "caller", metavar="NUMBER", help="The number of the caller.")
@click.option("--to", "callee", metavar="NUMBER", help="The number of the callee.")
@click.option("--record/--do-not-record", default=None, help="The request of the sender of the audio.")
@setting_options(STORAGE)
def explain(
    account_id: str, owner_id: str | None, endpoint_id: str | None, options: Mapping[str, str | None], **given: Any
) -> None:
    """Explain why a call is or is not recorded."""
    direction, network = _value(Direction, given["direction"]), _value(Network, given["network"])
    own = Network.ONNET if network else None
    networks = (own, network) if direction is Direction.OUTBOUND else (network, own)
    call = PolicyCall(
        direction=direction,
        from_network=networks[0],
        to_network=networks[1],
        numbers=tuple(number for number in (given["caller"], given["callee"]) if number),
        record=given["record"],
    )
    _explain(options, account_id, owner_id, endpoint_id, call)


def _cells(
    on: Sequence[str], off: Sequence[str], settings: Sequence[str], *, clear: bool
) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the policy that the options describe; `None` if they describe none."""
    if settings and not on:
        raise click.UsageError("--option needs --on")
    if both := set(on) & set(off):
        raise click.UsageError(f"a cell can be in --on or in --off, not in both: {', '.join(sorted(both))}")
    cells: dict[str, dict[str, Any]] = {}
    chosen = dict(_setting(text) for text in settings)
    for enabled, texts in ((True, on), (False, off)):
        for text in texts:
            direction, _, network = text.partition(".")
            if direction not in DIRECTIONS or network not in NETWORKS:
                allowed = f"a direction ({', '.join(DIRECTIONS)}) and a network ({', '.join(NETWORKS)})"
                raise click.UsageError(f"a cell must be {allowed}, such as inbound.offnet, not {text!r}")
            cells.setdefault(direction, {})[network] = {"enabled": enabled, **(chosen if enabled else {})}
    return cells if cells or clear else None


def _identity(scope: str, identity: str | None) -> str | None:
    if identity is None and scope in {"user", "device"}:
        raise click.UsageError(f"--scope {scope} needs --id, the id of the {scope}")
    return identity


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in SETTINGS or name == "enabled":
        allowed = ", ".join(other for other in SETTINGS if other != "enabled")
        raise click.UsageError(f"--option must be NAME=VALUE with one of {allowed}, not {text!r}")
    return name, value


def _operator(account_id: str) -> Principal:
    return Principal(account_id, frozenset(GRANTABLE), name="operator")


@with_services
async def _show(services: "Services", account_id: str, scope: PolicyScope, identity: str | None) -> None:
    await services.accounts.account(account_id)
    found = await services.policy.policies.document(_operator(account_id), scope.kind, identity)
    _print(found, scope)


@with_services
async def _set(services: "Services", account_id: str, change: PolicyChange) -> None:
    await services.accounts.account(account_id)
    saved = await services.policy.policies.set(_operator(account_id), change)
    if change.scope is PolicyScope.USER:
        await warn_of_user_name(services, account_id, change.id)
    for warning in await services.policy.policies.warnings(saved):
        click.echo(f"Warning: {warning}", err=True)
    _print(saved, change.scope)


@with_services
async def _explain(
    services: "Services", account_id: str, owner_id: str | None, endpoint_id: str | None, call: PolicyCall
) -> None:
    await services.accounts.account(account_id)
    explained = await services.policy.policies.explain(
        _operator(account_id), call, owner_id=owner_id, endpoint_id=endpoint_id
    )
    await warn_of_user_name(services, account_id, owner_id)
    plan = explained.plan
    print_json(
        {
            "decision": plan.decision.value,
            "source": plan.source.value,
            "because": plan.because,
            "refused": plan.refused,
            "consent": plan.consent.value,
            "recordings": [_planned(take) for take in plan.takes],
            "levels": [
                {
                    "scope": level.scope.value,
                    "document": level.document_id,
                    "revision": level.revision,
                    "fill": level.fill,
                    "cell": level.cell,
                    "decision": _decision(enabled=level.enabled),
                }
                for level in plan.levels
            ],
            "warnings": list(explained.warnings),
        }
    )


def _planned(take: PlannedTake) -> Mapping[str, Any]:
    return {
        "source": take.source.value,
        "document": take.document_id,
        "revision": take.revision,
        "cell": take.cell,
        "reasons": list(take.reasons),
        "origin": take.origin,
        "options": dict(take.options),
    }


def _decision(*, enabled: bool | None) -> str | None:
    return None if enabled is None else (Decision.RECORD if enabled else Decision.DO_NOT_RECORD).value


def _print(document: PolicyDocument, scope: PolicyScope) -> None:
    print_json(
        {
            "account": document.account_id,
            "scope": scope.value,
            "id": document.id,
            "call_recording": document.policy(scope),
            "fill": document.fill,
            **json.loads(json.dumps(asdict(document.rules))),
            "revision": document.revision,
            "modified": to_iso(document.modified) if document.revision else None,
        }
    )
