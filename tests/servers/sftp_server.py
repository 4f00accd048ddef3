"""A real SFTP server, in a thread of the test, for one user."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any, Final

import paramiko

USER, PASSWORD = "user", "p@ss"
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_EXCL


class _Login(paramiko.ServerInterface):  # type: ignore[misc]
    def check_auth_password(self, username: str, password: str) -> Any:
        right = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> Any:
        return paramiko.OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """The files under `root`, each answer as OpenSSH would give it."""

    root: Path
    opened: list[IO[bytes]]

    def _at(self, path: str) -> Path:
        return self.root / str(self.canonicalize(path)).lstrip("/")

    def stat(self, path: str) -> Any:
        return _told(lambda: paramiko.SFTPAttributes.from_stat(self._at(path).stat()))

    lstat = stat

    def list_folder(self, path: str) -> Any:
        return _told(
            lambda: [
                paramiko.SFTPAttributes.from_stat(each.stat(), each.name) for each in sorted(self._at(path).iterdir())
            ]
        )

    def mkdir(self, path: str, attr: Any) -> Any:
        return _done(self._at(path).mkdir)

    def remove(self, path: str) -> Any:
        return _done(self._at(path).unlink)

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        return _done(lambda: self._at(oldpath).replace(self._at(newpath)))

    rename = posix_rename

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def opened() -> Any:
            file = os.fdopen(os.open(self._at(path), flags, 0o600), "wb" if flags & _WRITING else "rb")
            handle = paramiko.SFTPHandle(flags)
            handle.filename = path
            handle.readfile = handle.writefile = file
            self.opened.append(file)
            return handle

        return _told(opened)


def _told(ask: Any) -> Any:
    try:
        return ask()
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno or 0)


def _done(act: Any) -> Any:
    said = _told(act)
    return said if type(said) is int else paramiko.SFTP_OK


@contextmanager
def sftp_server(root: Path) -> Iterator[int]:
    """Serves a folder to the user; its port."""
    key = paramiko.RSAKey.generate(2_048)
    opened: list[IO[bytes]] = []
    files = type("Files", (_Files,), {"root": root, "opened": opened})
    transports: list[paramiko.Transport] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            while True:
                connection, _ = listening.accept()
                transport = paramiko.Transport(connection)
                transports.append(transport)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
                # A client may go before it has said anything.
                with suppress(paramiko.SSHException, EOFError, OSError):
                    transport.start_server(server=_Login())

        def serve_until_closed() -> None:
            with suppress(OSError):
                serve()

        thread = Thread(target=serve_until_closed)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            # Closing alone does not wake who accepts.
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()
                transport.join()
            # What serves a client that broke off may not have come to it yet.
            for file in opened:
                file.close()
