"""`recordings doctor` and `recordings verify`: compare the metadata with the stored audio."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, print_json, setting_options, with_services
from graph.server.log_setup import scrub

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.doctor import Finding

_SETTINGS: Final = (*STORAGE, "allowed_hosts", "private_hosts")
_SHARE: Final = click.FloatRange(0, 1)
_MAX_REASON: Final = 300


@click.command()
@click.option(
    "--repair", is_flag=True, help="Repair problems. This deletes audio that no recording has, and updates recordings."
)
@click.option(
    "--verify",
    "share",
    type=_SHARE,
    default=0.0,
    metavar="SHARE",
    help="Also read and hash the audio of this share of the recordings, chosen at random. A number from 0 to 1.",
)
@setting_options(_SETTINGS)
@click.pass_context
def doctor(context: click.Context, repair: bool, share: float, options: Mapping[str, str | None]) -> None:
    """Compare metadata with stored audio.

    The command compares the metadata with the media stores and with this server's spool, in both directions. It can run
    while the server runs. It prints one line for each problem. It lists the objects of all media stores that the
    installation uses or has used. At its end it names the stores that it could not list.

    --repair marks recordings whose audio is missing as LOST, at most 100 in a run. It deletes audio that no recording
    has, if the audio is older than one day, but it keeps the audio of a LOST recording. It deletes spool files of
    recordings that are stored, discarded or purged.

    Never use --repair on a copy of the metadata that still names the media stores of the original: it would delete
    audio that the original stored after the copy was made.

    The exit code is 1 if a problem remains.
    """
    context.exit(_examine(options, repair, share))


@click.command()
@click.option(
    "--all",
    "share",
    flag_value=1.0,
    type=float,
    default=1.0,
    help="Read the audio of all recordings. This is the default.",
)
@click.option(
    "--sample",
    "share",
    type=_SHARE,
    metavar="SHARE",
    help="Read the audio of this share of the recordings, chosen at random. A number from 0 to 1.",
)
@setting_options(_SETTINGS)
@click.pass_context
def verify(context: click.Context, share: float, options: Mapping[str, str | None]) -> None:
    """Check the length and SHA-256 of stored audio.

    The command checks the length of all audio, and reads the audio to check its SHA-256. It prints one line for each
    problem and changes nothing. The exit code is 1 if there is a problem.
    """
    context.exit(_verify(options, share))


@with_services
async def _examine(services: "Services", repair: bool, share: float) -> int:
    unlisted: list[tuple[str, str]] = []
    with progress_bar() as progress:
        findings = services.doctor.examine(
            repair=repair,
            verify=share,
            progress=progress,
            not_listed=lambda store, reason: unlisted.append((store, reason)),
        )
        exit_code = await _print_findings(findings)
    for store, reason in unlisted:
        click.echo(
            f"not listed: {scrub(store)}: {scrub(reason)[:_MAX_REASON]}; audio without a recording is not found there",
            err=True,
        )
    return exit_code


@with_services
async def _verify(services: "Services", share: float) -> int:
    with progress_bar() as progress:
        return await _print_findings(services.doctor.verify(share, progress))


async def _print_findings(findings: "AsyncIterator[Finding]") -> int:
    """Print the findings and return the exit code."""
    count = unrepaired = 0
    try:
        async for finding in findings:
            count += 1
            unrepaired += not finding.repaired
            print_json(_as_json(finding))
    except Exception as error:
        reason = scrub(str(_first(error))) or type(error).__name__
        # An unreachable store proves nothing about its audio, so the command stops here.
        message = f"the examination stopped: {reason}"
        raise click.ClickException(message) from error
    click.echo(f"{count} found, {count - unrepaired} repaired", err=True)
    return 1 if unrepaired else 0


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _as_json(finding: "Finding") -> Mapping[str, Any]:
    return {
        "problem": finding.issue.value,
        "recording": finding.recording_id,
        "url": None if finding.url is None else scrub(finding.url),
        "detail": finding.detail,
        "repaired": finding.repaired,
    }
