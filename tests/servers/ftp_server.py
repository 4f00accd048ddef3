"""A real FTP server, in a thread of the test."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

with warnings.catch_warnings():
    # pyftpdlib imports asyncore, which Python removes. Where it is removed, a package replaces it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

USER, PASSWORD = "user", "p@ss"


@contextmanager
def ftp_server(root: Path, certificate: Path | None = None) -> Iterator[int]:
    """Serve a folder and return the port. `USER` may read and write, an anonymous user may only read.

    With a certificate, the server requires TLS for the login and for files.
    """
    users = DummyAuthorizer()
    users.add_user(USER, PASSWORD, str(root), perm="elradfmwMT")
    users.add_anonymous(str(root), perm="elr")
    own = {"authorizer": users, "log": lambda *_a, **_k: None, "auth_failed_timeout": 0}
    secure = {"certfile": str(certificate), "tls_control_required": True, "tls_data_required": True}
    handler = type("Handler", (TLS_FTPHandler,), own | secure) if certificate else type("Handler", (FTPHandler,), own)
    # This server runs in a thread, so it needs its own loop. The default loop is shared by the whole process.
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=IOLoop())
    stopped: list[bool] = []

    def serve() -> None:
        while not stopped:
            server.ioloop.poll(0.02)
            server.ioloop.sched.poll()

    thread = Thread(target=serve)
    thread.start()
    yield server.address[1]
    stopped.append(True)
    thread.join()
    server.close_all()
