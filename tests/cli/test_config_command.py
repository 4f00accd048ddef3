"""The configuration file, `recordings config check` and `recordings completion`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.settings import BY_NAME, ConfigFileError, load, sources
from tests.cli.conftest import CommandLine

SETTINGS_PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
PORTS = st.none() | st.integers(1, 65_535)


def config(folder: Path, text: str) -> Path:
    path = folder / "recordings.toml"
    path.write_text(text)
    return path


@given(PORTS, PORTS, PORTS)
def test_an_option_precedes_a_variable_and_a_variable_precedes_the_file(
    tmp_path_factory: pytest.TempPathFactory, option: int | None, variable: int | None, in_file: int | None
) -> None:
    path = config(tmp_path_factory.getbasetemp(), "" if in_file is None else f"port = {in_file}")
    options = {"config": str(path), "port": None if option is None else str(option)}
    environment = {"RECORDINGS_PORT": "" if variable is None else str(variable)}
    given = [("--port", option), ("RECORDINGS_PORT", variable), (str(path), in_file)]
    source, port = next(((name, value) for name, value in given if value is not None), ("", 8_000))
    assert load(environment, options).port == port
    assert sources(environment, options).get("port", ("", ""))[0] == source


def test_the_example_in_the_documents_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", SETTINGS_PAGE, re.DOTALL)
    settings = load({"RECORDINGS_CONFIG": str(config(tmp_path, example))})
    assert (settings.graphiql, settings.private_hosts) == (False, ("10.1.0.0/16", "pbx.example.org"))


def test_every_kind_of_setting_can_be_in_the_file(tmp_path: Path) -> None:
    switches = [
        f"ari://u:p@127.0.0.1:1?name=one&account={'a' * 32}",
        f"ari://u:p@127.0.0.1?name=two&account={'a' * 32}",
    ]
    text = f'data = "/x"\ndemo = true\nmax_streams = 7\nlog_level = "debug"\nswitch = {json.dumps(switches)}\n'
    settings = load({}, {"config": str(config(tmp_path, text))})
    assert (settings.data, settings.demo, settings.max_streams) == (Path("/x"), True, 7)
    assert [switch.name for switch in settings.switch] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 8000", "unknown setting 'prot': did you mean port"),
        ("grafiql = true\nmax-bodi = 3", "'grafiql': did you mean graphiql.*'max-bodi': did you mean max_body"),
        ("zzzzzz = 1", "'zzzzzz': docs/settings.md lists all settings"),
        ("[server]\nport = 1", "unknown setting 'server'"),
        ("port = 0", "port must be an integer from 1 to 65535, not 0"),
        ('port = "8000"', "port must be an integer from 1 to 65535, not '8000'"),
        ("port = true", "port must be an integer"),
        ("port = 80.5", "port must be an integer"),
        ("graphiql = 1", "graphiql must be true or false, not 1"),
        ("allowed_hosts = [1]", r"allowed_hosts must be a list of texts, not \[1\]"),
        ('mongodb = "user:secret@db"', "mongodb must be a URL that begins with mongodb://.*not '…@db'"),
        ("port = ", "is not valid TOML"),
        ("port = 1\nport = 2", "is not valid TOML"),
        ("\udcff", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recordings.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigFileError, match=re.compile(message, re.DOTALL)) as error:
        load({}, {"config": str(path)})
    assert "secret" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="cannot be read: No such file"):
        load({"RECORDINGS_CONFIG": str(tmp_path / "absent")})


def test_check_prints_each_source_and_no_password(cli: CommandLine, tmp_path: Path) -> None:
    text = 'mongodb = "mongodb://user:secret@db/recordings"\nmax_body = 7\n'
    text += 'switch = ["ari://u:hidden@127.0.0.1?name=a&account=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]'
    path = config(tmp_path, text)
    path.chmod(0o644)
    result = cli.run("config", "check", "--config", path, "--max-uploads", "9", RECORDINGS_PROT="1")
    found = {line["setting"]: (line["value"], line["source"]) for line in map(json.loads, result.stdout.splitlines())}
    assert found["max_body"] == ("7", str(path))
    assert found["max_uploads"] == ("9", "--max-uploads")
    assert found["data"] == (str(cli.data), "RECORDINGS_DATA")
    assert "secret" not in result.output
    assert "hidden" not in result.output
    assert "RECORDINGS_PROT is not a setting" in result.stderr
    assert "run chmod 600" in result.stderr
    assert "the configuration is valid" in result.stderr
    assert not cli.data.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('media = "folder"', "is not a URL for audio"),
        ('media_options = "/absent.json"', "/absent.json cannot be read"),
        ('graphql_trusted = "/absent.json"', "trusted documents: /absent.json"),
        ('mongodb = "mongodb://h:99999/x"', "RECORDINGS_MONGODB cannot be used"),
        ('delivery_places = ["nosuch"]', "RECORDINGS_DELIVERY_PLACES cannot be used"),
        ('private_hosts = ["10.0.0.0/99"]', "RECORDINGS_PRIVATE_HOSTS cannot be used"),
        ('jwks_url = "https://x/"', "is required when --jwks-url is set"),
    ],
)
def test_check_finds_wrong_values(cli: CommandLine, tmp_path: Path, text: str, message: str) -> None:
    assert message in cli.run("config", "check", "--config", config(tmp_path, text), expected=2).stderr


def test_all_commands_use_the_file(cli: CommandLine, tmp_path: Path) -> None:
    data = tmp_path / "elsewhere"
    path = config(tmp_path, f'data = "{data}"')
    cli.run("account", "create", "Acme", "--config", path, RECORDINGS_DATA="")
    assert len(cli.run("account", "list", RECORDINGS_CONFIG=str(path), RECORDINGS_DATA="").stdout.splitlines()) == 1
    assert "config" not in BY_NAME


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "recordings"), ("zsh", "_recordings"), ("fish", "recordings.fish")]
)
def test_completion_is_installed(cli: CommandLine, tmp_path: Path, shell: str, name: str) -> None:
    printed = cli.run("completion", shell).stdout
    result = cli.run("completion", "--install", SHELL=f"/bin/{shell}", HOME=str(tmp_path), XDG_DATA_HOME="")
    path = Path(result.stdout.strip())
    assert (path.name, path.read_text()) == (name, printed)
    assert path.is_relative_to(tmp_path)
    assert ("fpath=" in result.stderr) == (shell == "zsh")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_and_options(cli: CommandLine, tmp_path: Path) -> None:
    script = cli.run("completion", "bash").stdout
    program = tmp_path / "recordings"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m graph.cli.main "$@"\n')
    program.chmod(0o700)
    words = "COMP_WORDS=(recordings backup --with); COMP_CWORD=2; _recordings_completion recordings --with backup"
    command = f"{script}\n{words}\necho ${{COMPREPLY[@]}}"
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["--with-key"]


def test_an_unknown_shell_is_an_error(cli: CommandLine) -> None:
    assert "must be one of bash, zsh, fish, not 'tcsh'" in cli.run("completion", SHELL="/bin/tcsh", expected=2).stderr
