"""`recordings completion`: shell completion for bash, zsh and fish."""

import os
from pathlib import Path
from typing import Final

import click

_PROGRAM: Final = "recordings"
_VARIABLE: Final = "_RECORDINGS_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.option("--install", is_flag=True, help="Write the script to where the shell finds it, and print its path.")
@click.pass_context
def completion(context: click.Context, shell: str | None, install: bool) -> None:
    """Print the script that completes commands and options in SHELL, or install it for this user.

    Without SHELL, it is the one of the environment variable SHELL. bash needs the package bash-completion.
    """
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    made = get_completion_class(shell)
    if made is None or shell not in _SHELLS:
        raise click.UsageError(f"SHELL must be one of {', '.join(_SHELLS)}, not {shell!r}")
    try:
        script = made(context.find_root().command, {}, _PROGRAM, _VARIABLE).source()
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    if not install:
        click.echo(script)
        return
    path = _place(shell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script + "\n")
    click.echo(path)
    click.echo(_advice(shell, path), err=True)


def _place(shell: str) -> Path:
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "bash":
        return data / "bash-completion" / "completions" / _PROGRAM
    if shell == "zsh":
        return data / "zsh" / "site-functions" / f"_{_PROGRAM}"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions" / f"{_PROGRAM}.fish"


def _advice(shell: str, path: Path) -> str:
    if shell == "zsh":
        return f"Add this line to ~/.zshrc before compinit, and start a new shell: fpath=({path.parent} $fpath)"
    return "Start a new shell to use it."
