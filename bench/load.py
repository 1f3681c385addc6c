"""A lean load generator: requests that were signed before, each sent once, over connections that stay open.

One thread and one selector, so that what is measured is the server: per request one ``send``, one or two ``recv``, and
a look for the end of the answer. Bounded by the requests that it is given and by a time limit; loopback only.
"""

import gc
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
CONNECTIONS: Final = 16
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_HEAD: Final = 12  # "HTTP/1.1 200"


class LoadError(Exception):
    """The load could not be run to its end: what was measured says nothing."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of a load."""

    seconds: float
    count: int
    failures: dict[str, int]
    latencies: list[float] = field(repr=False)  # seconds, ascending
    last_body: bytes = field(repr=False)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.count / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share was answered (nearest rank)."""
        return self.latencies[min(int(share * self.count), self.count - 1)] * 1000


class _Connection:
    __slots__ = ("began", "head_end", "received", "socket", "wanted")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.head_end = self.wanted = 0
        self.began = 0.0

    def send(self, request: bytes) -> None:
        self.received, self.wanted = b"", 0
        self.began = time.perf_counter()
        # A few kilobytes on an empty connection: the buffer of the kernel takes them whole.
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        data = self.socket.recv(65_536)
        if not data:
            raise LoadError("the server closed a connection")
        self.received += data
        if not self.wanted:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = _LENGTH.search(self.received, 0, end + 2)
            if length is None:
                raise LoadError("an answer without Content-Length")
            self.head_end = end + 4
            self.wanted = self.head_end + int(length[1])
        return len(self.received) >= self.wanted


def run(port: int, requests: Sequence[bytes], *, limit_seconds: float = 60.0) -> Load:
    """Send every request once, over 16 connections, each the next as soon as its answer is there.

    Raises:
        LoadError: the server closed a connection, or the time was up.
    """
    waiting = deque(requests)
    latencies: list[float] = []
    failures: dict[str, int] = {}
    last_body = b""
    connections = [_Connection(port) for _ in range(min(CONNECTIONS, len(requests)))]
    gc.collect()
    gc.disable()
    try:
        with selectors.DefaultSelector() as selector:
            for connection in connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            began = time.perf_counter()
            for connection in connections:
                connection.send(waiting.popleft())
            while len(latencies) < len(requests):
                ready = selector.select(timeout=5)
                now = time.perf_counter()
                if not ready or now - began > limit_seconds:
                    raise LoadError(f"{len(latencies)} of {len(requests)} answers after {now - began:.0f} s")
                for key, _ in ready:
                    connection = key.data
                    if not connection.is_answered():
                        continue
                    latencies.append(time.perf_counter() - connection.began)
                    status = connection.received[_HEAD - 3 : _HEAD]
                    last_body = connection.received[connection.head_end :]
                    if status != b"200":
                        told = status.decode("ascii", "replace")
                        failures[told] = failures.get(told, 0) + 1
                    if waiting:
                        connection.send(waiting.popleft())
            seconds = time.perf_counter() - began
    finally:
        gc.enable()
        for connection in connections:
            connection.socket.close()
    latencies.sort()
    return Load(seconds=seconds, count=len(requests), failures=failures, latencies=latencies, last_body=last_body)
