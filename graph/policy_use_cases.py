"""The use cases of recording policies and of consent, connected."""

from dataclasses import dataclass
from typing import Self

from recordings.ports.audit import Audit
from recordings.ports.clock import Clock
from recordings.ports.recorder import Recorder
from recordings.ports.recording_store import MetadataStore
from recordings.ports.wake_up import WakeUp
from recordings.use_cases.consents import Consents
from recordings.use_cases.policies import Policies
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.policy_starts import PolicyStarts
from recordings.use_cases.quotas import Quotas
from recordings.use_cases.start import RecordingStarter


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUseCases:
    """The use cases of policies. They share one `reader`, so that a change takes effect on this server at once."""

    reader: PolicyReader
    starter: RecordingStarter
    policies: Policies
    starts: PolicyStarts
    consents: Consents

    @classmethod
    def connect(
        cls,
        store: MetadataStore,
        recorder: Recorder,
        clock: Clock,
        audit: Audit,
        wake: WakeUp,
        *,
        node: str,
        url_prefixes: tuple[str, ...] = (),
        quotas: Quotas | None = None,
    ) -> Self:
        """Return the use cases on a store and a recorder."""
        reader = PolicyReader(store, clock)
        starter = RecordingStarter(
            store=store, recorder=recorder, clock=clock, audit=audit, node=node, policies=reader, quotas=quotas
        )
        return cls(
            reader=reader,
            starter=starter,
            policies=Policies(store=store, reader=reader, clock=clock, audit=audit, url_prefixes=url_prefixes),
            starts=PolicyStarts(
                store=store,
                recorder=recorder,
                reader=reader,
                clock=clock,
                audit=audit,
                node=node,
                url_prefixes=url_prefixes,
                starter=starter,
            ),
            consents=Consents(store=store, recorder=recorder, clock=clock, audit=audit, wake=wake),
        )
