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
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

USER, PASSWORD = "user", "p@ss"


@contextmanager
def ftp_server(root: Path) -> Iterator[int]:
    """Serves a folder to a user, who may write, and to anonymous, who may not; its port."""
    users = DummyAuthorizer()
    users.add_user(USER, PASSWORD, str(root), perm="elradfmwMT")
    users.add_anonymous(str(root), perm="elr")
    handler = type(
        "Handler", (FTPHandler,), {"authorizer": users, "log": lambda *_a, **_k: None, "auth_failed_timeout": 0}
    )
    server = FTPServer(("127.0.0.1", 0), handler)
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
