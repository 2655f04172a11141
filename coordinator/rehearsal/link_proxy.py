"""A TCP proxy with a bad line in it: slow, late, unsteady, stalled, reset or gone silent.

It stands between a client and a broker; "up" is from the client to the broker. What it does to the
link, neither of them is told: a board behind it has to find out.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_BUFFER_BYTES = 64 * 1024
_CHUNK_BYTES = 16 * 1024
_CHUNK_S = 0.02
_SMALLEST_CHUNK_BYTES = 512
# With loopback's own 64 KiB segments, buffers this small would run into retransmission timers.
_SEGMENT_BYTES = 1448
_DELAY_LINE_CHUNKS = 256
_ABORTIVE = struct.pack("ii", 1, 0)


class LinkProxy:
    """Listens on 127.0.0.1:`port` while its context is entered, in a thread of its own.

    A rate is in bytes per second for each connection, None for no limit; the delay is one way, and
    every piece of the stream is later by up to `jitter_s`, in order. All four may be changed at
    any time.
    """

    def __init__(
        self,
        target_port: int,
        *,
        up_bytes_per_s: float | None = None,
        down_bytes_per_s: float | None = None,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        target_host: str = "127.0.0.1",
    ) -> None:
        self.up_bytes_per_s = up_bytes_per_s
        self.down_bytes_per_s = down_bytes_per_s
        self.delay_s = delay_s
        self.jitter_s = jitter_s
        self.port = 0
        self.accepted = 0
        self._target = (target_host, target_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], _Line] = {}
        self._accepting: asyncio.Task[None] | None = None

    def via(self, broker: str) -> str:
        """Returns the URL of a broker by way of this proxy."""
        parts = urlsplit(broker)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    def stall(self) -> None:
        """Holds all bytes of all connections, old and new, until `resume`."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def resume(self) -> None:
        """Ends a `stall`."""
        self._loop.call_soon_threadsafe(self._open.set)

    def half_open(self) -> None:
        """Holds the connections of this moment for ever, without closing them; new ones work."""
        self._call(self._silence())

    def reset(self) -> None:
        """Ends the connections of this moment with RST; bytes under way are lost."""
        self._call(self._cut())

    def __enter__(self) -> LinkProxy:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _listen(self) -> None:
        self._open.set()
        listener = _small_socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = await self._loop.sock_accept(listener)
                self.accepted += 1
                line = _Line(self, client)
                task = asyncio.create_task(line.carry(self._target, self._open))
                self._tasks[task] = line
                task.add_done_callback(self._tasks.pop)

    async def _silence(self) -> None:
        for line in self._tasks.values():
            line.alive.clear()

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        await self._cut()


class _Line:
    """One connection: two directions, ended together."""

    def __init__(self, proxy: LinkProxy, client: socket.socket) -> None:
        self.alive = asyncio.Event()
        self.alive.set()
        self._ends = 0
        self._proxy = proxy
        self._client = client

    async def carry(self, place: tuple[str, int], flowing: asyncio.Event) -> None:
        """Moves bytes both ways until both ends have finished; anything else ends in RST."""
        loop = asyncio.get_running_loop()
        proxy, client, target = self._proxy, self._client, _small_socket()
        client.setblocking(False)
        finished = False
        try:
            await loop.sock_connect(target, place)
            async with asyncio.TaskGroup() as group:
                for source, sink, rate in (
                    (client, target, lambda: proxy.up_bytes_per_s),
                    (target, client, lambda: proxy.down_bytes_per_s),
                ):
                    late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_DELAY_LINE_CHUNKS)
                    group.create_task(self._take(source, late, rate, flowing))
                    group.create_task(self._give(sink, late, flowing))
            finished = True
        except* OSError:
            pass
        finally:
            for end in (client, target):
                if not finished:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
                end.close()

    async def _take(
        self,
        source: socket.socket,
        late: asyncio.Queue[tuple[float, bytes]],
        rate: Callable[[], float | None],
        flowing: asyncio.Event,
    ) -> None:
        loop = asyncio.get_running_loop()
        free_at_s = due_s = loop.time()
        while True:
            # What a stalled link does not take stays with its sender.
            await flowing.wait()
            bytes_per_s = rate()
            data = await loop.sock_recv(source, _chunk_bytes(bytes_per_s))
            if bytes_per_s is not None:
                # A sleep that overran is made good, but an idle line saves nothing up.
                now_s = loop.time()
                free_at_s = max(free_at_s, now_s - _CHUNK_S) + len(data) / bytes_per_s
                await asyncio.sleep(free_at_s - loop.time())
            late_s = self._proxy.delay_s + random.uniform(0.0, self._proxy.jitter_s)
            due_s = max(due_s, loop.time() + late_s)
            await late.put((due_s, data))
            if not data:
                self._end()
                return

    def _end(self) -> None:
        """Lets a line that went silent go once both of its sides have given it up."""
        self._ends += 1
        if self._ends == 2:
            self.alive.set()

    async def _give(
        self,
        sink: socket.socket,
        late: asyncio.Queue[tuple[float, bytes]],
        flowing: asyncio.Event,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s, data = await late.get()
            await asyncio.sleep(due_s - loop.time())
            await flowing.wait()
            await self.alive.wait()
            if not data:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, data)


def _small_socket() -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
    return made


def _chunk_bytes(bytes_per_s: float | None) -> int:
    if bytes_per_s is None:
        return _CHUNK_BYTES
    return min(_CHUNK_BYTES, max(_SMALLEST_CHUNK_BYTES, int(bytes_per_s * _CHUNK_S)))
