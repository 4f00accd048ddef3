"""A real FTP server, in a thread of the test."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

with warnings.catch_warnings():
    # It imports asyncore, which leaves the standard library; where it has left, a package takes its place.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

USER, PASSWORD = "user", "p@ss"


@contextmanager
def ftp_server(root: Path, certificate: Path | None = None) -> Iterator[int]:
    """Serves a folder to a user, who may write, and to anonymous, who may not; its port.

    With a certificate it takes nobody's name, and no file, but over TLS.
    """
    users = DummyAuthorizer()
    users.add_user(USER, PASSWORD, str(root), perm="elradfmwMT")
    users.add_anonymous(str(root), perm="elr")
    own = {"authorizer": users, "log": lambda *_a, **_k: None, "auth_failed_timeout": 0}
    secure = {"certfile": str(certificate), "tls_control_required": True, "tls_data_required": True}
    handler = type("Handler", (TLS_FTPHandler,), own | secure) if certificate else type("Handler", (FTPHandler,), own)
    # A loop of its own: the usual one is shared by all servers of a process, and this one lives in a thread.
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=IOLoop())
    over: list[bool] = []

    def serve() -> None:
        while not over:
            server.ioloop.poll(0.02)
            server.ioloop.sched.poll()

    thread = Thread(target=serve)
    thread.start()
    yield server.address[1]
    over.append(True)
    thread.join()
    server.close_all()
