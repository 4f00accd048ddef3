"""`recordings retention`: set how long the recordings of an account are kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, account_option, integer, print_json, setting_options, with_services
from recordings.model.instants import to_iso
from recordings.model.retention import MAX_DAYS, Retention

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.account_settings import RetentionEffect

_label: Final = click.option(
    "--label", help="The label to which the rule applies. [default: all labels that have no rule]"
)
_wait: Final = click.option(
    "--wait", is_flag=True, help="Apply the rules in this command, and print their effect. No server is needed."
)
_dry_run: Final = click.option("--dry-run", is_flag=True, help="Change nothing. Only print the expected changes.")


@click.group()
def retention() -> None:
    """Set how many days recordings are kept, by account and label. A legal hold overrides all rules."""


@retention.command("set")
@account_option
@_label
@click.option(
    "--days",
    type=integer(1, MAX_DAYS),
    required=True,
    metavar="NUMBER",
    help="Days to keep a recording, counted from its start.",
)
@_dry_run
@_wait
@setting_options(STORAGE)
def set_(
    account_id: str, label: str | None, days: int, dry_run: bool, wait: bool, options: Mapping[str, str | None]
) -> None:
    """Set a rule. It applies to existing and future recordings.

    The command answers at once. A server applies the rule to the existing recordings in the background; `retention
    progress` shows how far it is. Deleted recordings go to the trash, from which they can be restored as usual.

    With --dry-run and --wait, one line for each day shows how many recordings will be deleted on that day. The last
    line is a summary.
    """
    _set(options, account_id, Retention(days, label), dry_run, wait)


@retention.command()
@account_option
@_label
@_dry_run
@_wait
@setting_options(STORAGE)
def clear(account_id: str, label: str | None, dry_run: bool, wait: bool, options: Mapping[str, str | None]) -> None:
    """Remove a rule, for existing and future recordings. The output is that of `set`."""
    _clear(options, account_id, label, dry_run, wait)


@retention.command()
@account_option
@setting_options(STORAGE)
def progress(account_id: str, options: Mapping[str, str | None]) -> None:
    """Show how far the rules of an account are applied to its existing recordings."""
    _progress(options, account_id)


@retention.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the rules of an account. The rule for all labels is first."""
    _list(options, account_id)


@with_services
async def _set(services: "Services", account_id: str, rule: Retention, dry_run: bool, wait: bool) -> None:
    shown = {"account": account_id, "label": rule.label, "days": rule.days, "dry_run": dry_run}
    in_background = not (dry_run or wait)
    with progress_bar() as progress:
        effect = await services.account_settings.set_rule(
            account_id, rule, dry_run=dry_run, progress=progress, in_background=in_background
        )
    _print_result(effect, shown, in_background)


@with_services
async def _clear(services: "Services", account_id: str, label: str | None, dry_run: bool, wait: bool) -> None:
    shown = {"account": account_id, "label": label, "days": None, "dry_run": dry_run}
    in_background = not (dry_run or wait)
    with progress_bar() as progress:
        effect = await services.account_settings.clear_rule(
            account_id, label, dry_run=dry_run, progress=progress, in_background=in_background
        )
    _print_result(effect, shown, in_background)


@with_services
async def _progress(services: "Services", account_id: str) -> None:
    run = await services.account_settings.run_of(account_id)
    if run is None:
        print_json({"account": account_id, "state": "NONE"})
        return
    print_json(
        {
            "account": account_id,
            "state": "RUNNING" if run.finished is None else "FINISHED",
            "started": to_iso(run.started),
            "finished": None if run.finished is None else to_iso(run.finished),
            "recordings": run.total,
            "checked": run.seen,
            "changed": run.changed,
            "deleted_at_once": run.at_once,
        }
    )


@with_services
async def _list(services: "Services", account_id: str) -> None:
    for rule in await services.account_settings.rules(account_id):
        print_json({"account": account_id, "label": rule.label, "days": rule.days})


def _print_result(effect: "RetentionEffect", rule: Mapping[str, Any], in_background: bool) -> None:
    if in_background:
        print_json({**rule, "state": "RUNNING"})
    else:
        _print_effect(effect, rule)


def _print_effect(effect: "RetentionEffect", rule: Mapping[str, Any]) -> None:
    for day, count in sorted(effect.dates.items()):
        print_json({"delete_on": day, "recordings": count})
    print_json(
        {
            **rule,
            "recordings": effect.seen,
            "changed": effect.changed,
            "deleted_at_once": effect.at_once,
            "kept_for_good": effect.for_good,
            "on_hold": effect.held,
        }
    )
