"""The installations of a chaos run: real servers with real stores, and links between them that can be cut."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP
from typing import Final, TypeVar
from urllib.parse import urlsplit

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal, Scope
from tests.e2e.server import Server, until
from tests.faults.killed_process import Control, kind_of
from tests.servers import seaweedfs
from tests.servers.balancer import start_balancer
from tests.servers.mongod import REPLICA_SET
from tests.servers.network_link import NetworkLink
from tests.servers.replica_set import ReplicaSet

ACCOUNT: Final = "ab" * 16
STORES: Final = ("cluster", "mongodb", "sqlite")
START_SECONDS: Final = 90.0
KILL_SECONDS: Final = 5.0
_TOKEN_SECONDS: Final = 86_400
_SERVERS: Final = ("one", "two", "three")
_Found = TypeVar("_Found")


class ChaosServer:
    """A server that can be killed, frozen, cut off from MongoDB, and started again as by a service manager."""

    def __init__(self, server: Server, network: NetworkLink | None) -> None:
        self.server = server
        self.network = network
        self.starts = 0
        self.killed_at: Counter[str] = Counter()
        """How often the process killed itself at each kind of step."""
        self._kinds: set[str] = set()
        folder = server.data.with_name(f"{server.data.name}-control")
        folder.mkdir()
        self._folder = folder
        self._control = Control(folder)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def is_running(self) -> bool:
        return self.server.process is not None and self.server.process.poll() is None

    def launch(self, kill_before_next: str | None = None) -> None:
        """Start the process and do not wait for it. It kills itself at its next step of a kind, if one is given."""
        (self._folder / "trace").unlink(missing_ok=True)
        self._control.hold(kill_before_next=kill_before_next)
        self.starts += 1
        arm = ("tests.faults.killed_process:arm_all", str(self._folder))
        self.server.launch("--audio-workers", "1", prepare=arm)

    def kill(self) -> None:
        self.server.kill()

    def kill_at_a_step(self, random: Random) -> None:
        """Let the process kill itself at its next step of some kind. Return after that, or after some seconds.

        The steps at which it was killed least often come first.
        """
        self._kinds |= {kind_of(step) for step in self._control.trace()}
        if not self._kinds:
            return
        fewest = min(self.killed_at[kind] for kind in self._kinds)
        kind = random.choice(sorted(each for each in self._kinds if self.killed_at[each] == fewest))
        self._control.hold(kill_before_next=kind)
        if not self._ends() and self.is_running:
            # Some steps are done only at the start.
            self.kill()
            self.launch(kill_before_next=kind)
            if not self._ends():
                self._control.hold()
                self._kinds.discard(kind)
                return
        self.killed_at[kind] += 1

    def _ends(self) -> bool:
        with suppress(AssertionError):
            return until(lambda: not self.is_running, KILL_SECONDS)
        return False

    @property
    def steps(self) -> Collection[str]:
        """The kinds of steps that were seen."""
        return self._kinds

    def freeze(self) -> None:
        assert self.server.process is not None
        self.server.process.send_signal(SIGSTOP)

    def thaw(self) -> None:
        assert self.server.process is not None
        self.server.process.send_signal(SIGCONT)

    def revive(self) -> None:
        """Wait until the server is ready. Start it as often as it ends."""
        until(self._is_ready, START_SECONDS, pause=0.2)

    def _is_ready(self) -> bool:
        if not self.is_running:
            self.launch()
        return self.server.is_answering()


@dataclass(frozen=True, kw_only=True)
class ChaosInstallation:
    """The parts of one run. A part that the installation does not have is `None`."""

    folder: Path
    servers: list[ChaosServer]
    replica_set: ReplicaSet | None
    media: NetworkLink | None
    url: str
    """The URL for clients: that of nginx, or that of the only server."""
    token: str
    ingest: str
    variables: Mapping[str, str]
    """Settings that reach the stores without the links."""

    def with_services(self, work: Callable[[Services], Awaitable[_Found]]) -> _Found:
        """Call `work` with services on the same data, in this process."""
        return _with_services(self.servers[0].server.data, self.variables, work)

    def heal(self) -> None:
        """End all faults, and wait until all servers are ready."""
        if self.media is not None:
            self.media.heal()
        if self.replica_set is not None:
            for member in self.replica_set.members:
                if member.process is None or member.process.poll() is not None:
                    member.start()
                member.thaw()
            self.replica_set.wait_for_primary()
        for server in self.servers:
            if server.network is not None:
                server.network.heal()
            if server.is_running:
                server.thaw()
        for server in self.servers:
            server.revive()


@contextmanager
def open_installation(store: str, folder: Path) -> Iterator[ChaosInstallation]:
    """Start the servers and stores of a run, and stop them at the end. `store` is one of `STORES`."""
    with ExitStack() as stack:
        common = {
            "RECORDINGS_KEY_FILE": f"{folder}/secret.key",
            "RECORDINGS_DRAIN_SECONDS": "1",
            "RECORDINGS_DRAIN_CALL_SECONDS": "30",
            "RECORDINGS_TRASH_DAYS": "0",
            "RECORDINGS_GRAPHQL_BURST": "10000000",
            "RECORDINGS_GRAPHQL_PER_SECOND": "10000000",
        }
        replica_set = media = None
        direct = dict(common)
        if store != "sqlite":
            replica_set = stack.enter_context(ReplicaSet(folder, 3 if store == "cluster" else 1))
            direct["RECORDINGS_MONGODB"] = _uri([member.port for member in replica_set.members])
            media, options = _start_media(folder, stack)
            common |= options | {"FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{next(iter(media.ports.values()))}"}
            direct |= options
        names = _SERVERS if store == "cluster" else _SERVERS[:1]
        servers = [_make_server(folder / name, common, replica_set, stack) for name in names]
        data = servers[0].server.data
        token, ingest = _with_services(data, direct, _make_account)
        for server in servers:
            server.launch()
        for server in servers:
            server.revive()
        url = servers[0].url
        if len(servers) > 1:
            (folder / "nginx").mkdir()
            balancer = start_balancer(folder / "nginx", [server.server.port for server in servers])
            stack.callback(balancer.process.stop)
            url = balancer.url
        yield ChaosInstallation(
            folder=folder, servers=servers, replica_set=replica_set, media=media,
            url=url, token=token, ingest=ingest, variables=direct,
        )  # fmt: skip


def _make_server(
    data: Path, variables: Mapping[str, str], replica_set: ReplicaSet | None, stack: ExitStack
) -> ChaosServer:
    server, network = Server(data, "--log-level", "warning", **variables), None
    stack.push(server.__exit__)
    if replica_set is not None:
        network = stack.enter_context(NetworkLink(*(member.port for member in replica_set.members)))
        server.variables["RECORDINGS_MONGODB"] = _uri(list(network.ports.values()))
        server.variables["RECORDINGS_PEER_URL"] = server.url
    return ChaosServer(server, network)


def _uri(ports: list[int]) -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"mongodb://{hosts}/chaos?replicaSet={REPLICA_SET}"


def _start_media(folder: Path, stack: ExitStack) -> tuple[NetworkLink, dict[str, str]]:
    """Start an S3 store. Return the link to it, and the settings that reach it without the link."""
    (folder / "seaweedfs").mkdir()
    process, address = seaweedfs.start(folder / "seaweedfs")
    stack.callback(process.stop)
    port = urlsplit(address["s3"]).port
    assert port is not None
    return stack.enter_context(NetworkLink(port)), {
        "RECORDINGS_MEDIA": f"s3://{seaweedfs.BUCKET}/chaos/{uuid.uuid4().hex}",
        "FSSPEC_S3_ENDPOINT_URL": address["s3"],
        "FSSPEC_S3_KEY": address["key"],
        "FSSPEC_S3_SECRET": address["secret"],
    }


async def _make_account(services: Services) -> tuple[str, str]:
    await services.accounts.create_account("Chaos", account_id=ACCOUNT)
    made = await services.accounts.create_ingest(ACCOUNT)
    scopes = frozenset({*DEFAULT_SCOPES, Scope.ADMIN})
    token = services.tokens.issue(Principal(ACCOUNT, scopes), _TOKEN_SECONDS)
    return token, f"/ingest/{made.address.id}/{made.secret}"


def _with_services(data: Path, variables: Mapping[str, str], work: Callable[[Services], Awaitable[_Found]]) -> _Found:
    async def run() -> _Found:
        settings = {name: value for name, value in variables.items() if name.startswith("RECORDINGS_")}
        async with open_services(load(settings, {"data": str(data)})) as services:
            return await work(services)

    return asyncio.run(run())
