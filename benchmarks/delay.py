"""A proxy that gives a server on this machine the latency of the internet.

    python benchmarks/delay.py HOST PORT SECONDS     (prints its own port, and serves)

It delays data in both directions by half the round trip, and the first data of a new connection by
another round trip, for the handshake. The bandwidth is not limited, and there is no TLS.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 1 << 16
_MOST_CHUNKS = 1_000


@contextmanager
def delayed(url: str, round_trip: float) -> Iterator[str]:
    """Yields the URL of a proxy for a server, with a round trip of so many seconds."""
    parts = urlsplit(url)
    command = [sys.executable, __file__, str(parts.hostname), str(parts.port), str(round_trip)]
    # A process of its own, which need not wait for Python's lock.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield f"{parts.scheme}://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def serve(host: str, port: int, round_trip: float) -> None:
    """Serves forever."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            _pass_on(reader, up_writer, round_trip / 2, round_trip),
            _pass_on(up_reader, writer, round_trip / 2, 0.0),
            return_exceptions=True,
        )

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, handshake: float
) -> None:
    """Forwards each chunk after the delay, in order."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_CHUNKS)
    earliest = loop.time() + handshake

    async def take() -> None:
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(_CHUNK)
            except ConnectionError:
                chunk = b""
            await chunks.put((max(loop.time(), earliest) + delay, chunk))

    taking = asyncio.create_task(take())
    try:
        while True:
            due, chunk = await chunks.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()
    finally:
        taking.cancel()
        writer.close()


def main() -> None:
    """Serves until the standard input ends, so that it ends with its parent process."""

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait_for_end, daemon=True).start()
    host, port, round_trip = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(host, int(port), float(round_trip)))


if __name__ == "__main__":
    main()
