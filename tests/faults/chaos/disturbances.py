"""The faults of a chaos run. Each one is caused for some seconds, and ends when the installation is healed."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from pymongo.errors import PyMongoError

from tests.faults.chaos.chaos_installation import ChaosInstallation, ChaosServer
from tests.servers.mongod import Mongod

_ELECTION_SECONDS: Final = 10

Disturbance = Callable[[], object]


class Disturbances:
    """Chooses and causes faults. Two of them can be present at the same time."""

    def __init__(self, installation: ChaosInstallation, random: Random, *, only_steps: bool = False) -> None:
        """With `only_steps`, servers are only killed at their steps."""
        self._installation = installation
        self._only_steps = only_steps
        self._random = random
        self.counts: Counter[str] = Counter()

    def round(self) -> None:
        """Cause one or two faults for a while, and heal the installation."""
        acts = self._possible()
        chosen = self._random.sample(acts, self._random.choice((1, 1, 2)))
        for act in chosen:
            self.counts[act.__name__.strip("_").replace("_", " ")] += 1
            act()
        if not self._only_steps:
            time.sleep(self._random.uniform(0.5, 8))
        self._installation.heal()
        time.sleep(self._random.uniform(0.5, 2 if self._only_steps else 6))

    def _possible(self) -> Sequence[Disturbance]:
        if self._only_steps:
            return [self._kill_at_a_step] * 2
        # One server has time for all kinds of steps.
        acts: list[Disturbance] = [self._kill_at_a_step] * (2 if len(self._installation.servers) > 1 else 8)
        acts += [self._kill_a_server, self._freeze_a_server]
        if self._installation.media is not None:
            acts += [self._stall_the_media_store, self._refuse_the_media_store]
        if self._installation.replica_set is not None:
            acts += [
                self._cut_a_server_off, self._reset_connections_of_a_server, self._kill_the_primary,
                self._step_the_primary_down, self._freeze_the_primary, self._kill_all_members,
            ]  # fmt: skip
            if len(self._installation.replica_set.members) > 1:
                acts += [self._kill_a_member, self._freeze_a_majority]
        if len(self._installation.servers) > 1:
            acts.append(self._kill_all_servers)
        return acts

    def _server(self) -> ChaosServer:
        return self._random.choice(self._installation.servers)

    def _members(self) -> Sequence[Mongod]:
        assert self._installation.replica_set is not None
        return self._installation.replica_set.members

    def _primary(self) -> Mongod:
        assert self._installation.replica_set is not None
        return self._installation.replica_set.primary() or self._random.choice(self._members())

    def _kill_a_server(self) -> None:
        server = self._server()
        if server.is_running:
            server.kill()

    def _kill_all_servers(self) -> None:
        for server in self._installation.servers:
            if server.is_running:
                server.kill()

    def _kill_at_a_step(self) -> None:
        """Let a server kill itself just before or after a call of a store, of the disk or of an audio worker."""
        self._server().kill_at_a_step(self._random)

    def _freeze_a_server(self) -> None:
        server = self._server()
        if server.is_running:
            server.freeze()

    def _cut_a_server_off(self) -> None:
        network = self._server().network
        assert network is not None
        network.cut()

    def _reset_connections_of_a_server(self) -> None:
        network = self._server().network
        assert network is not None
        network.cut(refuse=True)

    def _kill_a_member(self) -> None:
        self._random.choice(self._members()).kill()

    def _kill_the_primary(self) -> None:
        self._primary().kill()

    def _kill_all_members(self) -> None:
        for member in self._members():
            member.kill()

    def _step_the_primary_down(self) -> None:
        # It closes the connection. A set of one member elects the same one again.
        with suppress(PyMongoError), self._primary().client() as client:
            client.admin.command("replSetStepDown", _ELECTION_SECONDS, force=True)

    def _freeze_the_primary(self) -> None:
        primary = self._primary()
        if primary.process is not None:
            primary.freeze()

    def _freeze_a_majority(self) -> None:
        for member in self._random.sample(list(self._members()), 2):
            if member.process is not None:
                member.freeze()

    def _stall_the_media_store(self) -> None:
        assert self._installation.media is not None
        self._installation.media.cut()

    def _refuse_the_media_store(self) -> None:
        assert self._installation.media is not None
        self._installation.media.cut(refuse=True)
