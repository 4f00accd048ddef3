"""A real SFTP server for one user, in a thread of the test."""

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
        is_correct = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if is_correct else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> Any:
        return paramiko.OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """The files under `root`, with the responses of OpenSSH."""

    root: Path
    opened: list[IO[bytes]]

    def _at(self, path: str) -> Path:
        return self.root / str(self.canonicalize(path)).lstrip("/")

    def stat(self, path: str) -> Any:
        return _result_or_error(lambda: paramiko.SFTPAttributes.from_stat(self._at(path).stat()))

    lstat = stat

    def list_folder(self, path: str) -> Any:
        return _result_or_error(
            lambda: [
                paramiko.SFTPAttributes.from_stat(each.stat(), each.name) for each in sorted(self._at(path).iterdir())
            ]
        )

    def mkdir(self, path: str, attr: Any) -> Any:
        return _ok_or_error(self._at(path).mkdir)

    def remove(self, path: str) -> Any:
        return _ok_or_error(self._at(path).unlink)

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        return _ok_or_error(lambda: self._at(oldpath).replace(self._at(newpath)))

    rename = posix_rename

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def opened() -> Any:
            file = os.fdopen(os.open(self._at(path), flags, 0o600), "wb" if flags & _WRITING else "rb")
            handle = paramiko.SFTPHandle(flags)
            handle.filename = path
            handle.readfile = handle.writefile = file
            self.opened.append(file)
            return handle

        return _result_or_error(opened)


def _result_or_error(action: Any) -> Any:
    try:
        return action()
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno or 0)


def _ok_or_error(action: Any) -> Any:
    result = _result_or_error(action)
    return result if type(result) is int else paramiko.SFTP_OK


@contextmanager
def sftp_server(root: Path) -> Iterator[int]:
    """Serve a folder and return the port."""
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
                # A client may close the connection before it has sent anything.
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
            # Closing the socket alone does not end a blocked `accept`.
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()
                transport.join()
            # After a broken connection, the thread of that client may not have closed its files yet.
            for file in opened:
                file.close()
