"""One call over HTTP to somebody else, bounded in every way: the only place of this package that knows a client.

The address was checked before (``exchange.providers.addresses``), and exactly it is connected to. Never a redirect,
never a proxy of the environment, never a kept connection: a call goes out on a connection of its own, so that "could
not connect" means that nothing was sent. Time and size are bounded, however slowly the bytes drip.
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal

import httpx

from exchange.errors import ExchangeError
from exchange.providers.addresses import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How long and how much an answer may take."""

    connect_seconds: float = 2.0
    read_seconds: float = 5.0  # without a byte
    total_seconds: float = 8.0  # of the whole call
    max_bytes: int = 2**20


class CallFault(Enum):
    """Why there is no answer."""

    NOT_SENT = "it cannot be reached"
    TOO_SLOW = "it did not answer in time"
    NOT_HTTP = "it does not answer in HTTP"
    TOO_LONG = "its answer is too long"
    BROKEN = "the connection broke"


class CallError(ExchangeError):
    """A call that brought no answer; ``fault`` says why."""

    code: ClassVar[str] = "call-error"

    def __init__(self, fault: CallFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Answer:
    """Status and headers of an answer; the body is read when asked for."""

    def __init__(self, response: httpx.Response, deadline: "_Deadline", max_bytes: int) -> None:
        self._response = response
        self._deadline = deadline
        self._max_bytes = max_bytes
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        """By names in any case."""

    def read(self) -> bytes:
        """The body as it came; compression was not offered and is not undone.

        Raises:
            CallError: it is longer than allowed, or too slow.
        """
        body = bytearray()
        for chunk in self._response.iter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise CallError(CallFault.TOO_LONG)
            if self._deadline.passed:
                raise CallError(CallFault.TOO_SLOW)
        return bytes(body)


@contextmanager
def call(
    method: Literal["GET", "POST"],
    target: Target,
    *,
    limits: CallLimits,
    tls: ssl.SSLContext,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> Iterator[Answer]:
    """Send one request; the answer is good inside the block.

    Raises:
        CallError: no answer, in the call or while its body is read.
    """
    timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
    transport = httpx.HTTPTransport(
        verify=tls, trust_env=False, limits=httpx.Limits(max_connections=1, max_keepalive_connections=0)
    )
    deadline = _Deadline(limits.total_seconds)
    try:
        with httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client, deadline.running():
            request = client.build_request(
                method,
                target.url,
                content=content,
                headers={"Accept-Encoding": "identity", **headers, "Host": target.host_header},
                # The certificate must be that of the name, though the checked address is what is connected to.
                extensions={"sni_hostname": target.host, "trace": deadline.watch},
            )
            response = client.send(request, stream=True, follow_redirects=False)
            try:
                yield Answer(response, deadline, limits.max_bytes)
            finally:
                response.close()
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
        raise CallError(CallFault.NOT_SENT) from exc
    except httpx.TimeoutException as exc:
        raise CallError(CallFault.TOO_SLOW) from exc
    except httpx.ProtocolError as exc:
        raise CallError(CallFault.TOO_SLOW if deadline.passed else CallFault.NOT_HTTP) from exc
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
        raise CallError(CallFault.BROKEN) from exc


class _Deadline:
    """Ends one call after some time altogether: time-outs of single reads do not stop who sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self.passed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """The time runs inside this block."""
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """The transport's ``trace`` extension: tells the socket when there is one."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.passed:
                self._end()

    def _end(self) -> None:
        self.passed = True
        connection = self._socket
        if connection is not None:
            # Wakes the reader, which a close from another thread would not.
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
