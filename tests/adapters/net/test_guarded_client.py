"""The guarded session, with real sockets."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.net import AddressRefusedError, Guard, Limits, open_session
from adapters.net.guarded_client import AGENT
from adapters.net.interim_responses import MAX_INTERIM, InterimResponsesError


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"], ids=bytes.decode)
async def test_a_server_that_only_sends_interim_responses_loses_its_connection(status: bytes) -> None:
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            while True:
                writer.write(b"HTTP/1.1 %b\r\n\r\n" % status * 1_000)
                await writer.drain()
        except ConnectionError:
            closed.set()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_session(Guard(private=["127.0.0.1"]), Limits(total=20.0)) as session:
        with pytest.raises(InterimResponsesError):
            await session.post(url, data=b"x")
        await closed.wait()


async def test_some_interim_responses_may_come_before_each_response() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INTERIM)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_session(Guard(private=["127.0.0.1"])) as session:
        for _ in range(3):
            async with session.get(url) as response:
                assert await response.read() == b"ok"


class Names(AbstractResolver):
    """Returns the next of its answers for each query, like an attacker's name server."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.queries = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.queries += 1
        addresses = self.answers[host.partition(".")[0]].pop(0)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[int, list[str]]]:
    requests: list[str] = []
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(f"{request.host} {request.path_qs}")
        if request.path == "/redirect":
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if request.path == "/slow":
            await over.wait()
        if request.path == "/drips":
            response = web.StreamResponse()
            await response.prepare(request)
            while not over.is_set():
                await response.write(b"x")
                await asyncio.sleep(0.01)
            return response
        if request.path == "/zipped":
            headers = {"Content-Encoding": "gzip", "Set-Cookie": "seen=1"}
            return web.Response(body=gzip.compress(bytes(1_000)), headers=headers)
        if request.path == "/headers":
            return web.json_response(dict(request.headers))
        return web.Response(text="here")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1], requests
    over.set()
    await runner.cleanup()


async def test_a_loopback_address_is_refused_before_a_request_is_sent() -> None:
    async with serving() as (port, requests), open_session(Guard()) as session:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            with pytest.raises(AddressRefusedError):
                await session.get(f"http://{host}:{port}/")
        for host in ("127.1", "2130706433", "0x7f000001"):
            with pytest.raises((AddressRefusedError, aiohttp.InvalidURL)):
                await session.get(f"http://{host}:{port}/")
        assert requests == []


async def test_an_allowed_name_gets_its_own_host_header() -> None:
    names = Names(recorder=[["127.0.0.1"]])
    guard = Guard(private=["recorder.lan"])
    async with serving() as (port, requests), open_session(guard, resolver=names) as session:
        async with session.get(f"http://recorder.lan:{port}/x") as response:
            assert await response.text() == "here"
        assert requests == [f"recorder.lan:{port} /x"]


async def test_a_name_that_changes_to_loopback_is_refused_at_the_next_connection() -> None:
    names = Names(rebind=[["127.0.0.1"], ["127.0.0.2"]])
    guard = Guard(private=["127.0.0.1"])
    async with serving() as (port, requests), open_session(guard, resolver=names) as session:
        async with session.get(f"http://rebind.example:{port}/", headers={"Connection": "close"}) as response:
            await response.read()
        with pytest.raises(AddressRefusedError):
            await session.get(f"http://rebind.example:{port}/")
        assert (len(requests), names.queries) == (1, 2)


async def test_only_the_allowed_addresses_of_a_name_are_used() -> None:
    names = Names(mixed=[["10.0.0.1", "127.0.0.1", "169.254.169.254"]])
    async with serving() as (port, requests), open_session(Guard(private=["127.0.0.1"]), resolver=names) as session:
        async with session.get(f"http://mixed.example:{port}/") as response:
            assert response.status == 200
        assert (len(requests), names.queries) == (1, 1)


async def test_a_redirect_that_aiohttp_follows_is_checked_too() -> None:
    async with serving() as (port, requests), open_session(Guard(private=["127.0.0.1"])) as session:
        with pytest.raises(AddressRefusedError):
            await session.get(f"http://127.0.0.1:{port}/redirect", params={"to": f"http://127.0.0.2:{port}/inside"})
        assert len(requests) == 1


async def test_a_proxy_from_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    async with (
        serving() as (port, _requests),
        open_session(Guard(private=["127.0.0.1"])) as session,
        session.get(f"http://127.0.0.1:{port}/") as response,
    ):
        assert response.status == 200


async def test_a_silent_server_is_a_timeout() -> None:
    limits = Limits(idle=0.05)
    async with serving() as (port, _requests), open_session(Guard(private=["127.0.0.1"]), limits) as session:
        with pytest.raises(TimeoutError):
            await session.get(f"http://127.0.0.1:{port}/slow")


async def test_an_endless_response_is_a_timeout() -> None:
    async with serving() as (port, _requests), open_session(Guard(private=["127.0.0.1"]), Limits(total=0.2)) as session:
        # Without its own limit, the request would be cancelled by this outer timeout.
        async with asyncio.timeout(60):
            with pytest.raises(TimeoutError):
                async with session.get(f"http://127.0.0.1:{port}/drips") as response:
                    await response.read()


async def test_bodies_stay_compressed_and_cookies_are_not_kept() -> None:
    # A name, because no client keeps the cookies of an address.
    names = Names(recorder=[["127.0.0.1"]] * 2)
    guard = Guard(private=["recorder.lan"])
    async with serving() as (port, _requests), open_session(guard, resolver=names) as session:
        async with session.get(f"http://recorder.lan:{port}/zipped") as response:
            body = await response.read()
        assert len(body) < 100
        assert gzip.decompress(body) == bytes(1_000)
        async with session.get(f"http://recorder.lan:{port}/headers") as response:
            sent = await response.json()
    assert sent["Accept-Encoding"] == "identity"
    assert sent["User-Agent"] == AGENT
    assert "Cookie" not in sent
