"""`recordings doctor` and `recordings verify`: compare the metadata with the stored audio."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, integer, print_json, setting_options, with_services
from graph.server.data_folder import foreign_entries
from graph.server.log_setup import scrub
from recordings.use_cases.doctor_findings import Notes

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.doctor_findings import Finding

_SETTINGS: Final = (*STORAGE, "allowed_hosts", "private_hosts")
_SHARE: Final = click.FloatRange(0, 1)
_SHARE.name = "number from 0 to 1"
_MAX_REASON: Final = 300
_MAX_ORPHANS: Final = 100_000
_MAX_NAMES: Final = 20


@click.command()
@click.option("--repair", is_flag=True, help="Update recordings whose audio is missing, and free the spool.")
@click.option(
    "--repair-orphans",
    type=integer(0, _MAX_ORPHANS),
    default=0,
    metavar="NUMBER",
    help="Delete at most this many files that belong to no recording. By default, no audio is deleted.",
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
def doctor(
    context: click.Context, repair: bool, repair_orphans: int, share: float, options: Mapping[str, str | None]
) -> None:
    """Compare metadata with stored audio.

    The command compares the metadata with the media stores and with this server's spool, in both directions. It can run
    while the server runs. It prints one line for each problem. It lists the objects of all media stores that the
    installation uses or has used. At its end it names the stores that it could not list.

    Without --repair and --repair-orphans, the command changes nothing.

    --repair marks recordings whose audio is missing as LOST, at most 100 in a run. It deletes spool files of recordings
    that are stored, discarded or purged.

    --repair-orphans deletes audio that no recording has, if the audio is older than one day, but it keeps the audio of
    a LOST recording. It deletes nothing if a store looks wrong: if more than a tenth of its audio belongs to no
    recording, if it has audio that is older than the metadata store, or if its mark names another installation.

    Never use --repair-orphans on a copy of the metadata that still names the media stores of the original: it would
    delete audio that the original stored after the copy was made.

    The exit code is 1 if a problem remains, or if audio could not be examined.
    """
    context.exit(_examine(options, repair, repair_orphans, share))


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
async def _examine(services: "Services", repair: bool, repair_orphans: int, share: float) -> int:
    notes = _Notes()
    with progress_bar() as progress:
        findings = services.doctor.examine(
            repair=repair, repair_orphans=repair_orphans, verify=share, progress=progress, notes=notes
        )
        exit_code = await _print_findings(findings)
    for name in foreign_entries(services.settings):
        notes.not_own(name)
    return max(exit_code, notes.print_all())


@with_services
async def _verify(services: "Services", share: float) -> int:
    notes = _Notes()
    with progress_bar() as progress:
        exit_code = await _print_findings(services.doctor.verify(share, progress, notes))
    return max(exit_code, notes.print_all())


class _Notes(Notes):
    """Collects notes, and prints them at the end to stderr."""

    def __init__(self) -> None:
        self._unlisted: list[tuple[str, str]] = []
        self._undeleted: list[tuple[str, str]] = []
        self._unexamined: Counter[str] = Counter()
        self._others: list[str] = []
        self._other_count = 0

    def not_listed(self, location: str, reason: str) -> None:
        """Collect a store."""
        self._unlisted.append((location, reason))

    def not_examined(self, url: str, reason: str) -> None:  # noqa: ARG002 - there may be millions of URLs
        """Count audio by reason."""
        self._unexamined[reason] += 1

    def not_deleted(self, location: str, reason: str) -> None:
        """Collect a store."""
        self._undeleted.append((location, reason))

    def not_own(self, name: str) -> None:
        """Collect the first names."""
        self._other_count += 1
        if len(self._others) < _MAX_NAMES:
            self._others.append(name)

    def print_all(self) -> int:
        """Print the notes. Return the exit code: 1 if audio could not be examined."""
        for location, reason in self._unlisted:
            _note(f"not listed: {scrub(location)}: {_shortened(reason)}; audio without a recording is not found there")
        for reason, number in self._unexamined.items():
            _note(f"not examined: the audio of {number} recordings: {_shortened(reason)}")
        for location, reason in self._undeleted:
            _note(f"no audio may be deleted, because {scrub(location)} looks wrong: {_shortened(reason)}")
        for name in self._others:
            _note(f"left alone: {scrub(name)}: not made by this service")
        if self._other_count > len(self._others):
            _note(f"left alone: {self._other_count - len(self._others)} more")
        return 1 if self._unexamined else 0


def _note(text: str) -> None:
    click.echo(text, err=True)


def _shortened(reason: str) -> str:
    return scrub(reason)[:_MAX_REASON]


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
