"""`recordings backup` and `recordings restore`: copy a whole installation, and make it again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, print_json, setting_options, settings_from, with_services
from graph.server import log_setup as logs
from graph.server.request_origin import begin_command

if TYPE_CHECKING:
    from graph.backup.backup_manifest import Manifest
    from graph.services import Services
    from graph.settings import Settings

_SETTINGS: Final = (*STORAGE, "allowed_hosts", "private_hosts")
_MAX_NAMED: Final = 20


@click.command()
@click.argument("target")
@click.option("--with-key", is_flag=True, help="Also copy the installation's key file.")
@click.option("--verify", is_flag=True, help="Also read and compare the audio that the target has already.")
@setting_options(_SETTINGS)
@click.pass_context
def backup(
    context: click.Context, target: str, with_key: bool, verify: bool, options: Mapping[str, str | None]
) -> None:
    """Back up the metadata and the audio to TARGET, while the server runs.

    TARGET is a folder, or a URL such as s3://bucket/folder. Several backups can be in one place: the same audio is
    stored there once, so the next backup only copies new audio. After an interruption, run the command again.

    The metadata are those of one instant, and each part is read back and compared. A backup contains the recordings
    with their stored audio, the accounts, users, keys, policies, secrets and the audit trail. It does not contain audio
    that is not stored yet (the spool), audio that is set aside, audio at a storage provider, or --media-options.

    The installation's key is only copied with --with-key. It decrypts the stored secrets, and signs tokens and URLs:
    keep such a backup as safe as the key. Without the key, keep the key file elsewhere: a restored installation needs
    it.

    The exit code is 1 if audio is missing or damaged. The backup is complete except for this audio.
    """
    if "://" not in target:
        Path(target).mkdir(parents=True, exist_ok=True)
    context.exit(_report(_backup(options, _url(target), with_key=with_key, verify=verify)))


@click.command()
@click.argument("source")
@click.option("--backup", "backup_id", metavar="ID", help="The backup to restore. [default: the latest one]")
@click.option("--check", is_flag=True, help="Only read all of the backup and compare it with its manifest.")
@setting_options(_SETTINGS)
@click.pass_context
def restore(
    context: click.Context, source: str, backup_id: str | None, check: bool, options: Mapping[str, str | None]
) -> None:
    """Restore a backup from SOURCE into an empty installation.

    The metadata go to --data, or to --mongodb if they were in MongoDB. The audio goes to its former place: to the data
    folder, or to the media store of its URL, unless it is still there. Each part is compared with its SHA-256.

    Until the restore is complete, no server and no command uses the installation. After an interruption, run the same
    command again: it continues.

    The exit code is 1 if the backup lacks audio. Then `recordings doctor --repair` marks these recordings as LOST.
    """
    context.exit(_report(_restore(settings_from(options), _url(source), backup_id, check=check)))


@with_services
async def _backup(services: "Services", target: str, *, with_key: bool, verify: bool) -> Mapping[str, Any]:
    from graph.backup.make_backup import BackupMaker

    with progress_bar() as progress:
        maker = BackupMaker(services, target, with_key=with_key, verify=verify, progress=progress)
        made = await explained(maker.make)
    for name in made.left_out:
        click.echo(f"Warning: the collection {name!r} was not made by this service, and is not in the backup", err=True)
    if not with_key:
        note = f"the backup does not contain the key file {services.key.path}: keep a copy of it elsewhere"
        click.echo(f"Note: {note}", err=True)
    return _described(made.manifest, made.new_objects, [*made.manifest.missing, *made.manifest.damaged])


def _restore(settings: "Settings", source: str, backup_id: str | None, *, check: bool) -> Mapping[str, Any]:
    from graph.backup.restore_backup import Restorer
    from graph.server.data_lock import DataFolderError, lock_data_folder

    logs.configure(settings.log_format, "warning")

    async def run() -> Mapping[str, Any]:
        begin_command()
        with progress_bar() as progress:
            restorer = Restorer(settings, source, backup_id, progress)
            done = await explained(restorer.check if check else restorer.restore)
        if done.needs_key:
            note = f"copy the key file with the key {done.manifest.key_id} before you start the server"
            click.echo(f"Note: the backup does not contain the installation's key: {note}", err=True)
        return _described(done.manifest, done.new_objects, [*done.manifest.missing, *done.damaged])

    if check:
        return asyncio.run(run())
    try:
        with lock_data_folder(settings.data):
            return asyncio.run(run())
    except DataFolderError as error:
        raise click.ClickException(str(error)) from error


async def explained(act: Callable[[], Awaitable[Any]]) -> Any:
    """Run a part of the command. Turn the errors of stores into messages."""
    from graph.backup.backup_manifest import BackupError
    from graph.open_parts import CannotOpenError
    from recordings.ports.audio import MediaStoreUnavailableError
    from recordings.ports.copied_store import CopyError

    try:
        return await act()
    except* (BackupError, CopyError, CannotOpenError, MediaStoreUnavailableError, ValueError, ImportError) as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        message = logs.scrub(str(error))
        raise click.ClickException(message) from error


def _described(manifest: "Manifest", new_objects: int, without_audio: list[str]) -> Mapping[str, Any]:
    return {
        "backup": manifest.id,
        "made": manifest.made,
        "metadata": manifest.store,
        "recordings": next(part.rows for part in manifest.parts if part.name.startswith("recordings.")),
        "audio": manifest.audio_objects,
        "bytes": manifest.audio_bytes,
        "copied": new_objects,
        "without_audio": without_audio[:_MAX_NAMED],
        "without_audio_count": len(without_audio),
    }


def _report(result: Mapping[str, Any]) -> int:
    print_json(result)
    return 1 if result["without_audio_count"] else 0


def _url(place: str) -> str:
    return place if "://" in place else Path(place).absolute().as_uri()
