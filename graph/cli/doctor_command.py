"""`recordings doctor` and `recordings verify`: whether everything that the metadata tells of is there, and is right."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, put_out, setting_options, with_services
from graph.server.log_setup import scrub

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.doctor import Finding

_SETTINGS: Final = (*STORAGE, "allowed_hosts", "private_hosts")
_SHARE: Final = click.FloatRange(0, 1)
_SHOWN: Final = 300


@click.command()
@click.option("--repair", is_flag=True, help="Put right what can be put right without losing anything.")
@click.option(
    "--verify",
    "share",
    type=_SHARE,
    default=0.0,
    metavar="SHARE",
    help="Also read and hash the audio of this share of the recordings, from 0 to 1.",
)
@setting_options(_SETTINGS)
@click.pass_context
def doctor(context: click.Context, repair: bool, share: float, options: Mapping[str, str | None]) -> None:
    """Compare metadata, stores and this server's spool, both ways, while the server runs.

    Every finding is one line. Objects are listed wherever audio was ever put; places that cannot be listed are named
    at the end. Repaired are: recordings whose audio is gone (they become LOST), audio that no recording
    has (it is deleted, if it is older than a day), and what is left in the spool of recordings that are done. Exits
    with 1 if anything is wrong that was not repaired.
    """
    context.exit(_examine(options, repair, share))


@click.command()
@click.option("--all", "share", flag_value=1.0, type=float, default=1.0, help="All recordings, which is the default.")
@click.option("--sample", "share", type=_SHARE, metavar="SHARE", help="A share of them by chance, from 0 to 1.")
@setting_options(_SETTINGS)
@click.pass_context
def verify(context: click.Context, share: float, options: Mapping[str, str | None]) -> None:
    """Read the audio of recordings and compare its length and SHA-256 with those of the day when it was stored.

    Every finding is one line, and nothing is changed. Exits with 1 if there is any.
    """
    context.exit(_verify(options, share))


@with_services
async def _examine(services: "Services", repair: bool, share: float) -> int:
    unlisted: list[tuple[str, str]] = []
    with progress_bar() as progress:
        findings = services.doctor.examine(
            repair=repair, verify=share, progress=progress, not_listed=lambda place, why: unlisted.append((place, why))
        )
        ended = await _tell(findings)
    for place, why in unlisted:
        click.echo(
            f"not listed: {scrub(place)}: {scrub(why)[:_SHOWN]}; audio without a recording is not found", err=True
        )
    return ended


@with_services
async def _verify(services: "Services", share: float) -> int:
    with progress_bar() as progress:
        return await _tell(services.doctor.verify(share, progress))


async def _tell(findings: "AsyncIterator[Finding]") -> int:
    """Print what is found; the exit code."""
    count = wrong = 0
    try:
        async for finding in findings:
            count += 1
            wrong += not finding.repaired
            put_out(_shown(finding))
    except Exception as error:
        said = scrub(str(_first(error))) or type(error).__name__
        # Nothing more is known then: a store that is away is no proof of anything.
        message = f"the examination could not go on: {said}"
        raise click.ClickException(message) from error
    click.echo(f"{count} found, {count - wrong} repaired", err=True)
    return 1 if wrong else 0


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _shown(finding: "Finding") -> Mapping[str, Any]:
    return {
        "problem": finding.problem.value,
        "recording": finding.recording_id,
        "url": None if finding.url is None else scrub(finding.url),
        "detail": finding.detail,
        "repaired": finding.repaired,
    }
