"""A proxy between the importer and a server, which injects faults into requests."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

COMMIT = b"COMMIT\0"
MERGE_STATES = b"copy public.search_results "
"""What a merge of `states` that are all new sends to PostgreSQL."""

RPC_MERGE_STATES = b"POST /rest/v1/rpc/importer_merge_states "
RPC_COMPARE = b"POST /rest/v1/rpc/importer_compare "
STORE_IMAGE = b"POST /storage/v1/object/imagecache/sha256/"

_LINGER_NOT = struct.pack("ii", 1, 0)
_HEAD_BYTES = 4096


@dataclass
class Fault:
    """A fault for requests that contain the `needles`, in this order.

    `action` is `reset` (the server gets the first `sent` bytes, the client a reset), `swallow` (the
    server gets everything and answers; the client gets a closed connection), `hang` (the same,
    but the connection stays open and nothing comes), `forget` (the client gets a reset, the server
    hears nothing of it, as behind a NAT that forgot the connection), `answer` (the client gets
    `answer`, the server nothing), `die` (the proxy stops) or `call` (`call` is
    called, then the request goes on). It happens `times` times, after it was spared `spare`
    times.
    """

    needles: tuple[bytes, ...]
    action: str
    spare: int = 0
    times: int = 1
    answer: bytes = b""
    sent: int = 65_536
    call: Callable[[], object] = lambda: None
    happened: int = field(default=0, init=False)


def http_answer(status: str, body: bytes, *headers: str) -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Proxy:
    """Listens on a port of this machine, at the same one whenever it is started again."""

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        """`upstream` is an address, or the path of a Unix socket."""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._stopped = threading.Event()
        self.port = 0
        self.requests: list[bytes] = []
        """The first line of each HTTP request that came by, without its protocol."""
        self.start()

    def add(self, *needles: bytes, action: str, **fields: object) -> Fault:
        """Adds a fault."""
        fault = Fault(needles, action, **fields)  # type: ignore[arg-type]
        with self._lock:
            self._faults.append(fault)
        return fault

    def start(self) -> None:
        """Begins to listen."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._stopped.clear()
        self._acceptor = self._spawn(self._accept, listener)

    def stop(self) -> None:
        """Refuses new connections, and resets the existing ones."""
        listener, self._listener = self._listener, None
        self._stopped.set()
        if listener is not None:
            # A thread that waits in accept() holds the port until it is woken.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._acceptor.join(10)
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _reset(connection)

    def close(self) -> None:
        """Stops, and waits for all threads."""
        self.stop()
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, function: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                _reset(client)
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            link = _Link(client, server)
            self._spawn(self._up, link)
            self._spawn(self._down, link)

    def _connect(self) -> socket.socket:
        if isinstance(self._upstream, tuple):
            return socket.create_connection(self._upstream)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._upstream)
        return server

    def _up(self, link: _Link) -> None:
        """From the client to the server."""
        try:
            while chunk := link.client.recv(65_536):
                self._note(chunk)
                fault = self._fault_for(link, chunk)
                if fault is None:
                    link.server.sendall(chunk)
                elif not self._happen(fault, link, chunk):
                    break
        except OSError:
            pass
        finally:
            self._end(link)

    def _down(self, link: _Link) -> None:
        """From the server to the client."""
        try:
            while chunk := link.server.recv(65_536):
                if link.hanging:
                    continue
                if link.swallowing:
                    break
                link.client.sendall(chunk)
        except OSError:
            pass
        finally:
            self._end(link)

    def _happen(self, fault: Fault, link: _Link, chunk: bytes) -> bool:
        """Applies a fault; returns whether the connection continues."""
        if fault.action == "answer":
            _read_body(link.client, chunk)
            link.client.sendall(fault.answer)
            return False
        if fault.action == "die":
            self.stop()
            return False
        if fault.action == "reset":
            link.server.sendall(chunk[: fault.sent])
            _reset(link.client)
            _reset(link.server)
            return False
        if fault.action == "forget":
            link.hanging = True
            _reset(link.client)
            self._stopped.wait()
            return False
        if fault.action == "swallow":
            link.swallowing = True
        elif fault.action == "hang":
            link.hanging = True
        elif fault.action == "call":
            fault.call()
        else:
            raise AssertionError(fault.action)
        link.server.sendall(chunk)
        return True

    def _note(self, chunk: bytes) -> None:
        line = chunk.partition(b"\r\n")[0]
        if line.endswith(b" HTTP/1.1"):
            self.requests.append(line.removesuffix(b" HTTP/1.1"))

    def _fault_for(self, link: _Link, chunk: bytes) -> Fault | None:
        head = chunk[:_HEAD_BYTES]
        chosen = None
        with self._lock:
            for number, fault in enumerate(self._faults):
                seen = link.seen.get(number, 0)
                if fault.needles[seen] not in head:
                    continue
                link.seen[number] = (seen + 1) % len(fault.needles)
                if link.seen[number]:
                    continue
                if fault.spare:
                    fault.spare -= 1
                elif fault.happened < fault.times and chosen is None:
                    fault.happened += 1
                    chosen = fault
        return chosen

    def _end(self, link: _Link) -> None:
        with self._lock:
            self._open -= {link.client, link.server}
        for end in (link.client, link.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass
class _Link:
    client: socket.socket
    server: socket.socket
    swallowing: bool = False
    hanging: bool = False
    seen: dict[int, int] = field(default_factory=dict)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        connection.shutdown(socket.SHUT_RD)
    connection.close()


def _read_body(client: socket.socket, chunk: bytes) -> None:
    head, _, body = chunk.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    left = int(length[1]) - len(body) if length else 0
    while left > 0 and (more := client.recv(65_536)):
        left -= len(more)


def database_proxy(url: str) -> tuple[Proxy, str]:
    """A proxy before the database of a URL that names a Unix socket; the URL through it."""
    parts = urlsplit(url)
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    proxy = Proxy(str(Path(options["host"]) / f".s.PGSQL.{options['port']}"))
    user = quote(parts.username or "postgres")
    return proxy, f"postgresql://{user}@127.0.0.1:{proxy.port}{parts.path}"


def api_proxy(url: str) -> tuple[Proxy, str]:
    """A proxy before a Supabase; its URL through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy((parts.hostname, parts.port))
    return proxy, f"http://127.0.0.1:{proxy.port}"
