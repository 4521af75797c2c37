"""A TCP proxy in front of a server, in a thread of its own, that breaks connections in the ways networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Self

from datagraph.streams.address import Address

_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Enter it with ``with``; `address` is where clients connect, `connections` how many ever did, `open` how many are."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._drop = 0
        self.connections = 0
        self.address = server

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._listen)
        return self

    def __exit__(self, *exc: object) -> None:
        self._run(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def open(self) -> int:
        return len(self._pairs)

    def reset(self) -> None:
        """Cut every connection with a TCP reset."""
        self._run(self._reset)

    def blackhole(self, on: bool) -> None:
        """While on, nothing is passed on in either direction and nobody is told; afterwards what was held goes on."""
        self._run(self._flow, on)

    def drop_replies(self, count: int) -> None:
        """Pass requests on, swallow the next `count` pieces of replies, and cut the connection of each with a reset."""
        self._drop = count

    def _run(self, job: Callable[..., Awaitable[None]], *args: object) -> None:
        async def do() -> None:
            await job(*args)

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(10)

    async def _listen(self) -> None:
        self._clear = asyncio.Event()
        self._clear.set()
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.address = Address(host="127.0.0.1", port=port, password=self._server.password)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = self._server
        try:
            if server.path is not None:
                back_reader, back_writer = await asyncio.open_unix_connection(server.path)
            else:
                back_reader, back_writer = await asyncio.open_connection(server.host, server.port)
        except OSError:
            _abort(writer)
            return
        pair = (writer, back_writer)
        self._pairs.add(pair)
        self.connections += 1
        pumps = [self._pump(reader, back_writer, pair, False), self._pump(back_reader, writer, pair, True)]
        await asyncio.gather(*pumps)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        replies: bool,
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._clear.wait()
                if replies and self._drop:
                    self._drop -= 1
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        self._cut(pair)

    def _cut(self, pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._pairs.discard(pair)
        for writer in pair:
            _abort(writer)

    async def _reset(self) -> None:
        for pair in list(self._pairs):
            self._cut(pair)

    async def _flow(self, held: bool) -> None:
        if held:
            self._clear.clear()
        else:
            self._clear.set()

    async def _close(self) -> None:
        self._listener.close()
        self._clear.set()
        await self._reset()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=5)


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    writer.transport.abort()
