"""The demo account, its playable recordings, and the ingest address that `recordings call` uses."""

import asyncio
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import Final

from graph.demo.voices import FRAME_MS, SAMPLE_RATE, voices
from graph.services import Services
from recordings.model.account import GRANTABLE, Account, IngestAddress, Principal
from recordings.model.call import Call
from recordings.model.events import Created
from recordings.model.instants import DAY, HOUR, MINUTE, SECOND, Millis
from recordings.model.options import RecordingOptions
from recordings.model.recording import Direction, EndCause, Lease, Recording, State
from recordings.ports.audio import Codec
from recordings.ports.recording_store import Taken
from recordings.use_cases.accounts import hash_secret
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import describe_origin, recording_of_call
from recordings.use_cases.work_claims import LEASE

DEMO_ACCOUNT: Final = "de30acc0de30acc0de30acc0de30acc0"
TOKEN_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Scene:
    """One recording of the demo."""

    name: str
    ago: Millis
    seconds: int
    caller: tuple[str, str]
    callee: tuple[str, str]
    direction: Direction
    label: str
    format: str = "mp3"


SCENES: Final = (
    Scene("order", 12 * MINUTE, 18, ("+14155550123", "Maya Ortiz"), ("1001", "Front desk"), Direction.INBOUND, "Order"),
    Scene(
        "support",
        3 * HOUR,
        25,
        ("+442079460018", "Oliver Hart"),
        ("1002", "Support"),
        Direction.INBOUND,
        "Support",
        "wav",
    ),
    Scene("callback", DAY, 12, ("1002", "Support"), ("+442079460018", "Oliver Hart"), Direction.OUTBOUND, "Support"),
    Scene("survey", 6 * DAY, 15, ("1003", "Sales"), ("+493012345678", "Jana Vogel"), Direction.OUTBOUND, "Survey"),
    Scene("voicemail", 20 * DAY, 8, ("+81312345678", "Aiko Mori"), ("1001", "Front desk"), Direction.INBOUND, "Order"),
)


@dataclass(frozen=True, slots=True)
class Demo:
    """The recordings of the demo account: how many can be played, and how many are not finished yet."""

    playable: int
    unfinished: int


async def make_demo(services: Services) -> Demo:
    """Create the demo account and its recordings if they do not exist. Return when their audio is stored.

    A recording stays unfinished if its audio cannot be stored now. The background work tries it again.
    """
    account = await demo_account(services)
    recordings = await asyncio.gather(
        *(_scene_recording(services, account, scene, tune) for tune, scene in enumerate(SCENES))
    )
    states = [recording.state for recording in recordings]
    return Demo(states.count(State.STORED), states.count(State.FINALIZING))


async def demo_account(services: Services) -> Account:
    """Return the demo account. Create it if it does not exist."""
    found = await services.store.account(DEMO_ACCOUNT)
    if found is None:
        await services.store.add_account(Account(DEMO_ACCOUNT, "Demo", services.clock.now()))
        found = await services.accounts.account(DEMO_ACCOUNT)
    return found


def demo_token(services: Services) -> str:
    """Return a token for the demo account that expires in one day.

    It has every scope, so that a newcomer can try every mutation. It is valid for the demo account only.
    """
    return services.tokens.issue(Principal(DEMO_ACCOUNT, frozenset(GRANTABLE), name="demo"), TOKEN_SECONDS)


async def call_address(services: Services, account: Account) -> str:
    """Return the ingest path, with its secret, to which `recordings call` sends the calls of an account.

    It is derived from the installation's key, so all calls of an account use the same path until the key is rotated.
    """
    key = services.key.derive("call").signing.secret
    address_id = blake2b(account.id.encode(), key=key, person=b"id", digest_size=16).hexdigest()
    secret = blake2b(account.id.encode(), key=key, person=b"secret", digest_size=32).hexdigest()
    if await services.store.ingest_address(address_id) is None:
        address = IngestAddress(address_id, account.id, hash_secret(secret), services.clock.now())
        await services.store.add_ingest(address)
    return f"/ingest/{address_id}/{secret}"


async def _scene_recording(services: Services, account: Account, scene: Scene, tune: int) -> Recording:
    """Return the recording of a scene. Create it if it does not exist."""
    if found := await _find(services, account, scene):
        # The last process stopped before it stored this audio. The background work has not begun yet.
        is_left = found.state is State.FINALIZING and found.node == services.node
        return await services.upkeep.step(found) if is_left else found
    recording = _recording(services, account, scene)
    await _write_audio(services, recording.id, scene.seconds, tune)
    try:
        await RecordingWriter(services.store).create(recording, Created(at=services.clock.now()))
    except Taken:
        await services.spool.remove(recording.id)
        return await _find(services, account, scene) or recording
    return await services.upkeep.step(recording)


async def _find(services: Services, account: Account, scene: Scene) -> Recording | None:
    found = await services.store.find_source(account.id, _source(scene), limit=1)
    return found[0] if found else None


async def _write_audio(services: Services, recording_id: str, seconds: int, tune: int) -> None:
    frames = list(islice(voices(tune), seconds * SECOND // FRAME_MS))
    writer = await services.spool.open_tracks(recording_id, Codec.MULAW, SAMPLE_RATE)
    try:
        for side, track in enumerate(zip(*frames, strict=True)):
            writer.write_at(side, 0, b"".join(track))
    finally:
        await writer.close()


def _recording(services: Services, account: Account, scene: Scene) -> Recording:
    now = services.clock.now()
    recording = recording_of_call(_call(account, scene, now), account, now - scene.ago, services.node)
    return replace(
        recording,
        state=State.FINALIZING,
        end_cause=EndCause.HANGUP,
        ended=recording.start + scene.seconds * SECOND,
        options=RecordingOptions(format=scene.format, label=scene.label),
        format=scene.format,
        label=scene.label,
        name=f"{recording.id}.{scene.format}",
        origin=describe_origin(recording, scene.label),
        source_key=_source(scene),
        due_at=now + LEASE,
        lease=Lease(services.node, now + LEASE),
    )


def _call(account: Account, scene: Scene, now: Millis) -> Call:
    return Call(
        account_id=account.id,
        call_id=f"demo-{scene.name}",
        started=now - scene.ago,
        direction=scene.direction,
        caller_id_number=scene.caller[0],
        caller_id_name=scene.caller[1],
        callee_id_number=scene.callee[0],
        callee_id_name=scene.callee[1],
    )


def _source(scene: Scene) -> str:
    return f"demo:{scene.name}"
