"""The clients of a chaos run: uploads, calls, deletions, holds and playback, all the time."""

import hashlib
import io
import threading
import time
import uuid
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, Final, Self

from tests.e2e.stream_call import StreamCall
from tests.faults.chaos.caller import Caller, Report
from tests.faults.chaos.chaos_installation import ChaosInstallation
from tests.faults.chaos.ledger import Ledger

AUDIO_MS: Final = 1_000
_END_SECONDS: Final = 120.0
_STATE: Final = "query Q($id: ID!) { recording(id: $id) { state hold { reason } media { url sha256 } } }"


def make_wav(random: Random) -> bytes:
    """Return a WAV file of `AUDIO_MS` with noise, which no other file of the run has."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(8_000)
            audio.writeframes(random.randbytes(16 * AUDIO_MS))
        return file.getvalue()


class Traffic:
    """Threads that send requests until the end of the block. Each acknowledgement goes to the ledger."""

    def __init__(self, installation: ChaosInstallation, ledger: Ledger, report: Report, seed: int) -> None:
        self._installation = installation
        self._ledger = ledger
        self._report = report
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._uploaded: list[str] = []
        """Recordings that the operator may change. No request for their files is under way."""
        works: list[Callable[[Caller], None]] = [
            self._upload, self._upload, self._upload_twice, self._operate, self._play,
            *[self._call] * (4 if len(installation.servers) > 1 else 2),
        ]  # fmt: skip
        self._callers = [
            Caller(installation, report, self._over, Random(f"{seed} {number}")) for number in range(len(works))
        ]
        self._threads = [
            threading.Thread(target=self._repeat, args=(work, caller), daemon=True)
            for work, caller in zip(works, self._callers, strict=True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(_END_SECONDS)
        for caller in self._callers:
            caller.close()

    def use_balancer_only(self, gentle: bool) -> None:
        """Send all further requests to the balancer, as clients do."""
        for caller in self._callers:
            caller.is_gentle = gentle

    def _repeat(self, work: Callable[[Caller], None], caller: Caller) -> None:
        while not self._over.wait(caller.random.uniform(0.05, 0.4)):
            try:
                work(caller)
            except Exception as error:  # noqa: BLE001 - the run goes on, and reports it
                self._report.unexpected_response(work.__name__, repr(error))

    def _upload(self, caller: Caller) -> None:
        body, name = make_wav(caller.random), _new_name()
        if found := self._put(caller, name, body):
            self._offer(found)

    def _upload_twice(self, caller: Caller) -> None:
        """Send the same file at once through two servers, and then sometimes a third time."""
        body, name = make_wav(caller.random), _new_name()
        bases = [caller.base_url(), caller.base_url()]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda base: self._put(caller, name, body, base), bases))
        if caller.random.random() < 0.5:
            found.append(self._put(caller, name, body))
        for recording_id in {each for each in found if each}:
            self._offer(recording_id)

    def _put(self, caller: Caller, name: str, body: bytes, base: str | None = None) -> str | None:
        def once() -> Any:
            path = f"{self._installation.ingest}/{name}"
            nonlocal base
            response = caller.send("upload", "PUT", path, base, content=body)
            # If a server does not answer, the sender tries another one.
            base = None
            return response

        response = caller.repeat(once)
        if response is None:
            return None
        if response.status_code not in {200, 201}:
            self._report.unexpected_response("upload", f"{response.status_code} {response.text}")
            return None
        recording_id: str = response.json()["id"]
        self._ledger.note("upload", recording_id, sha256=hashlib.sha256(body).hexdigest(), length=len(body))
        return recording_id

    def _offer(self, recording_id: str) -> None:
        with self._lock:
            self._uploaded.append(recording_id)

    def _take(self, caller: Caller) -> str | None:
        with self._lock:
            if not self._uploaded:
                return None
            return self._uploaded.pop(caller.random.randrange(len(self._uploaded)))

    def _operate(self, caller: Caller) -> None:
        """Delete a stored upload, or hold it, or hold it and release it again."""
        recording_id = self._take(caller)
        if recording_id is None:
            return
        found = caller.query("state", _STATE, id=recording_id)
        if found is None or found["recording"] is None or found["recording"]["state"] != "STORED":
            if found and found["recording"] and found["recording"]["state"] == "FINALIZING":
                self._offer(recording_id)
            return
        choice = caller.random.random()
        if choice < 0.4:
            self._change(caller, "delete", recording_id)
            return
        if not self._change(caller, "hold", recording_id, reason="chaos"):
            return
        if choice < 0.7:
            payload = caller.mutate("deleteRecording", id=recording_id)
            if payload and _codes(payload) != ["ON_HOLD"]:
                self._report.unexpected_response("delete of a recording on hold", str(payload))
        if choice < 0.5:
            self._change(caller, "release", recording_id)

    def _change(self, caller: Caller, act: str, recording_id: str, **fields: Any) -> bool:
        """Send a mutation with a key, sometimes twice at once. Return true if it was acknowledged."""
        key = uuid.uuid4().hex
        self._ledger.note(f"{act} sent", recording_id)

        def send(_number: int) -> Any:
            return caller.mutate(f"{act}Recording", id=recording_id, idempotencyKey=key, **fields)

        with ThreadPoolExecutor(2) as pool:
            payloads = [each for each in pool.map(send, range(caller.random.choice((1, 2)))) if each]
        # The first of two requests may have been executed, and the recording purged, before the second one.
        is_gone = act == "delete" and all(_codes(each) in ([], ["NOT_FOUND"]) for each in payloads)
        if not is_gone and (errors := [each["errors"] for each in payloads if each["errors"]]):
            self._report.unexpected_response(act, str(errors))
        elif payloads:
            self._ledger.note(act, recording_id)
            return True
        return False

    def _play(self, caller: Caller) -> None:
        """Play a stored upload, and compare all bytes."""
        recording_id = self._take(caller)
        if recording_id is None:
            return
        self._offer(recording_id)
        response = caller.send("play", "GET", f"/media/{recording_id}")
        if response is not None and response.status_code == 200:
            found = caller.query("state", _STATE, id=recording_id)
            media = found and found["recording"] and found["recording"]["media"]
            if media and media["sha256"] != hashlib.sha256(response.content).hexdigest():
                self._report.unexpected_response("play", f"{recording_id} has wrong bytes")
            self._ledger.note("play", recording_id)

    def _call(self, caller: Caller) -> None:
        """Stream a call, record it, mask it, and stop the recording or hang up."""
        call_id = f"call-{uuid.uuid4().hex}"
        with StreamCall(caller.base_url(), self._installation.ingest, call_id) as call:
            key = uuid.uuid4().hex
            recording_id = self._start(caller, call, call_id, key)
            if recording_id is None:
                return
            connected = time.monotonic()
            time.sleep(caller.random.uniform(1.0, 2.5))
            seconds = time.monotonic() - connected if call.is_open else 0.0
            self._ledger.note("streamed", recording_id, seconds=round(seconds, 2))
            if call.is_open and caller.random.random() < 0.5 and self._control(caller, "mask", recording_id):
                time.sleep(0.3)
                self._control(caller, "unmask", recording_id)
            if call.is_open and caller.random.random() < 0.5:
                self._control(caller, "stop", recording_id)

    def _start(self, caller: Caller, call: StreamCall, call_id: str, key: str) -> str | None:
        """Start a recording with one key, until there is a result. Return its id."""

        def once() -> Any:
            payload = caller.mutate("startRecording", callId=call_id, idempotencyKey=key)
            if payload and _codes(payload) == ["CALL_NOT_FOUND"] and call.is_open:
                return None
            return payload or (None if call.is_open else {"recording": None, "errors": []})

        payload = caller.repeat(once)
        if not payload or payload["errors"] or not payload["recording"]:
            if payload and set(_codes(payload)) - {"CALL_NOT_FOUND", "RECORDER_FAILED"}:
                self._report.unexpected_response("start", str(payload))
            return None
        recording = payload["recording"]
        if recording["reason"] == "NEVER_STARTED":
            self._report.unexpected_response("start", str(payload))
            return None
        self._ledger.note("start", recording["plainId"])
        return str(recording["plainId"])

    def _control(self, caller: Caller, act: str, recording_id: str) -> bool:
        payload = caller.mutate(f"{act}Recording", id=recording_id, idempotencyKey=uuid.uuid4().hex)
        if payload and not payload["errors"]:
            self._ledger.note(act, recording_id)
            return True
        return False


def _new_name() -> str:
    call_id = uuid.uuid4().hex
    return f"call_recording_{call_id}.wav?call_id={call_id}"


def _codes(payload: dict[str, Any]) -> list[str]:
    """Return the error codes of a mutation's payload."""
    return [error["code"] for error in payload["errors"]]
