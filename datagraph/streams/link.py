"""One open connection to a server: connect, handshake, send without waiting, receive. It knows no commands of ours."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import anyio
import hiredis
import sniffio
from redis.exceptions import ResponseError

from ..exceptions import StoreConfigError
from .address import Address

Argument = bytes | memoryview | str | int | float
RECEIVE_BYTES: Final = 256 * 1024
NOTHING: Final = object()
# Answers of a server that will do later what it cannot do now.
PASSING: Final = frozenset({"LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "ASK"})
_DENIED = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class CutError(Exception):
    """The connection is gone or cannot be had now; another attempt may succeed. `refused`: nobody listens there."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class GarbledError(CutError):
    """What arrives is not the server's protocol."""


def pack(args: Sequence[Argument]) -> bytes:
    """One command as the bytes to send."""
    packed: bytes = hiredis.pack_command(tuple(args))  # type: ignore[arg-type]  # its stub says one item
    return packed


def code_of(error: ResponseError) -> str:
    """The first word of a server's error, such as NOSCRIPT."""
    return str(error).partition(" ")[0]


def tls_context(address: Address) -> ssl.SSLContext | None:
    """What TLS needs, made once for an address (it reads files); None without TLS; StoreConfigError."""
    if not address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
        if address.cert_file:
            context.load_cert_chain(address.cert_file, address.key_file)
    except OSError as error:
        raise StoreConfigError(f"the TLS files of the store {address.label} cannot be read: {error}") from None
    context.check_hostname = address.check_hostname and address.verify
    context.verify_mode = ssl.CERT_REQUIRED if address.verify else ssl.CERT_NONE
    return context


class Link:
    """A connected, authenticated socket. `send` never waits; `receive` and `writable` do."""

    def __init__(self, sock: socket.socket, label: str) -> None:
        self._sock = sock
        self._label = label
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._reader = hiredis.Reader(replyError=ResponseError, protocolError=GarbledError, notEnoughData=NOTHING)
        self.gets = self._reader.gets

    @classmethod
    async def open(cls, address: Address, context: ssl.SSLContext | None) -> Link:
        """Connect and enter; CutError where another attempt may succeed, StoreConfigError where none will."""
        sock = await _connect(address)
        try:
            if context is not None:
                sock = await _wrap(sock, context, address)
            link = cls(sock, address.label)
            await link._enter(address)
        except BaseException:
            sock.close()
            raise
        return link

    def close(self) -> None:
        """Close the socket at once; no task may be waiting on it."""
        self._sock.close()

    def send(self, data: bytes | memoryview) -> int:
        """Hand over what the socket takes now; the number of bytes, 0 where it takes none; CutError."""
        try:
            return self._sock.send(data)
        except _WAIT:
            return 0
        except OSError as error:
            raise CutError(f"{self._label}: {error.strerror or error}") from None

    async def writable(self) -> None:
        """Wait until the socket takes more."""
        await anyio.wait_writable(self._sock)

    async def receive(self) -> None:
        """Wait for bytes and give them to the parser, whose `gets` then returns replies, or NOTHING; CutError."""
        await anyio.wait_readable(self._sock)
        while not self._take():
            await anyio.wait_readable(self._sock)

    async def listen(self, heard: Callable[[], None]) -> NoReturn:
        """Give the parser what comes and call `heard`, again and again, until cancelled; CutError, or what it raises.

        `heard` neither waits nor takes long. On asyncio the loop calls it directly, which saves each answer the turn
        of the loop in which a waiting task would be woken.
        """
        if sniffio.current_async_library() == "asyncio":
            await self._listen_on_asyncio(heard)
        while True:
            await self.receive()
            heard()

    async def _listen_on_asyncio(self, heard: Callable[[], None]) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        over: asyncio.Future[Exception] = loop.create_future()

        def ready() -> None:
            if over.done():
                return
            try:
                if self._take():
                    heard()
            except Exception as error:  # raised below; as a result, since nobody may be left to retrieve it
                over.set_result(error)

        try:
            loop.add_reader(self._sock, ready)
        except NotImplementedError:  # a loop that cannot watch sockets
            return
        try:
            raise await over
        finally:
            loop.remove_reader(self._sock)

    def _take(self) -> bool:
        """Give the parser what is there; whether there was something; CutError."""
        try:
            size = self._sock.recv_into(self._view)
        except _WAIT:
            return False
        except OSError as error:
            raise CutError(f"{self._label}: {error.strerror or error}") from None
        if not size:
            raise CutError(f"{self._label} closed the connection")
        self._reader.feed(self._view[:size])  # type: ignore[arg-type]  # any buffer will do
        return True

    async def _enter(self, address: Address) -> None:
        commands: list[tuple[Argument, ...]] = []
        if address.password is not None:
            user = (address.username,) if address.username else ()
            commands.append(("AUTH", *user, address.password))
        if address.db:
            commands.append(("SELECT", address.db))
        commands.append(("PING",))  # answers LOADING until the server can do real work
        left = memoryview(b"".join(map(pack, commands)))
        refusal: Exception | None = None
        try:
            while left:
                left = left[self.send(left) :]
                if left:
                    await self.writable()
            for command in commands:
                while (reply := self.gets()) is NOTHING:
                    await self.receive()
                if isinstance(reply, ResponseError):
                    refusal = _entry_error(str(command[0]), reply, address)
                    break
        except GarbledError:
            raise StoreConfigError(
                f"what answers at {address.label} is no Valkey or Redis server{hint(address)}"
            ) from None
        except CutError as error:
            raise CutError(f"{error}{hint(address)}") from None
        if refusal is not None:
            raise refusal


def hint(address: Address) -> str:
    """What to try where a server does not answer as one."""
    if address.path is not None:
        return ""
    return " (does it speak TLS? else use redis://)" if address.tls else " (if it speaks TLS, use rediss://)"


def _entry_error(command: str, error: ResponseError, address: Address) -> Exception:
    text, code = str(error), code_of(error)
    if code in _DENIED or (command == "AUTH" and code == "ERR"):
        if address.password is None:
            return StoreConfigError(f"the store {address.label} asks for a password: redis://user:password@host:port")
        return StoreConfigError(f"the store {address.label} refuses the user name or password at {command}: {text}")
    if command == "SELECT" and code == "ERR":
        return StoreConfigError(f"the store {address.label} has no database {address.db}: {text}")
    return CutError(f"{address.label} answers: {text}")


async def _connect(address: Address) -> socket.socket:
    if address.path is not None:
        return await _connect_to(socket.AF_UNIX, address.path, address)
    try:
        found = await anyio.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CutError(f"the host of {address.label} is not known: {error}") from None
    failure: CutError | None = None
    for family, _, _, _, place in found:
        try:
            return await _connect_to(family, place, address)
        except CutError as error:
            failure = error
    raise failure or CutError(f"the host of {address.label} has no address")


async def _connect_to(family: int, place: Any, address: Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if address.path is None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        code = sock.connect_ex(place)
        if code == errno.EINPROGRESS:
            await anyio.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except OSError as error:
        sock.close()
        refused = error.errno in (errno.ECONNREFUSED, errno.ENOENT)
        if error.errno in (errno.EACCES, errno.EPERM) or error.errno is None:
            reason = error.strerror or str(error)
            raise StoreConfigError(f"the store {address.label} cannot be opened: {reason}") from None
        what = "nobody listens at" if refused else f"{error.strerror or error}:"
        raise CutError(f"{what} {address.label}", refused=refused) from None
    except BaseException:
        sock.close()
        raise
    return sock


async def _wrap(sock: socket.socket, context: ssl.SSLContext, address: Address) -> ssl.SSLSocket:
    try:
        secure = context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=address.host)
    except (OSError, ValueError) as error:
        raise CutError(f"{address.label}: {error}") from None
    try:
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await anyio.wait_readable(secure)
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(secure)
            else:
                return secure
    except ssl.SSLCertVerificationError as error:
        secure.close()
        raise StoreConfigError(
            f"the certificate of the store {address.label} does not hold: {error.verify_message}"
        ) from None
    except OSError as error:
        secure.close()
        raise CutError(f"{address.label} breaks off the TLS handshake{hint(address)}") from error
    except BaseException:
        secure.close()
        raise
