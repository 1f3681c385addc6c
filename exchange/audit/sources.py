"""Where the offline verifier reads a log from: a directory or an address, both in C2SP tlog-tiles layout. No database.

What is read is untrusted: every byte of it is compared with what the checkpoint's signature stands for.
"""

import http.client
import os
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from crypto.errors import MalformedError
from exchange.audit.tiles import TILE_WIDTH

MAX_RESOURCE: Final = TILE_WIDTH * (2 + 65_535)
"""The largest bundle that can exist: 256 entries of 65,535 bytes."""
TIMEOUT_SECONDS: Final = 30
MAX_SECONDS: Final = 300
"""For one resource as a whole."""
ENTRIES: Final = "tile/entries"
_PART: Final = 2**16
_GZIP: Final = 16 + zlib.MAX_WBITS


class Source(Protocol):
    """A log's files by their path: ``checkpoint``, ``tile/0/000``, …."""

    def read(self, path: str) -> bytes | None:
        """The content, or None when there is no such file.

        Raises:
            PermissionError: it exists, and is not shown to us.
            OSError: the source cannot be read at all.
        """
        ...


class DirectorySource:
    """A log that was exported into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, path: str) -> bytes | None:
        """The content of a file; see :class:`Source`."""
        try:
            # A third of the time that a path object and a buffer would take; there are two files for 256 entries.
            with os.fdopen(os.open(f"{self._directory}/{path}", os.O_RDONLY), "rb", buffering=0) as file:
                return file.read(min(os.fstat(file.fileno()).st_size, MAX_RESOURCE) + 1)
        except (FileNotFoundError, NotADirectoryError):
            # A copy of a log whose entries were withheld has the hashes alone, and no folder for the others.
            if path.startswith(ENTRIES) and not (self._directory / ENTRIES).is_dir():
                raise PermissionError(f"{self} is a copy without entries") from None
            return None

    def __str__(self) -> str:
        return str(self._directory)


class HTTPSource:
    """A log that is served over HTTP."""

    def __init__(self, address: str) -> None:
        """Take the prefix of the log.

        Raises:
            MalformedError: not an http or https address.
        """
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise MalformedError("the address of a log begins with http:// or https://")
        self._prefix = address.rstrip("/")

    def read(self, path: str) -> bytes | None:
        """The body of a resource; see :class:`Source`."""
        # The constructor took http and https only, so no file:// gets here.
        request = urllib.request.Request(  # noqa: S310  # see above
            f"{self._prefix}/{path}", headers={"Accept-Encoding": "gzip, identity"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  # see above
                return _body(response)
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code in {404, 410}:
                return None
            if exc.code in {401, 403}:
                raise PermissionError(f"{self} does not show {path} to everybody") from None
            # Not the error itself: it holds the connection, and cannot go from one process to another.
            raise OSError(f"{self}/{path} answers with status {exc.code}") from None
        except (OSError, http.client.HTTPException, zlib.error) as exc:
            raise OSError(f"{self}/{path} cannot be read: {_reason(exc)}") from None

    def __str__(self) -> str:
        return self._prefix


def _body(response: http.client.HTTPResponse) -> bytes:
    """The body of a response, unpacked if need be; it may neither grow nor trickle without end."""
    unpack = zlib.decompressobj(_GZIP) if response.headers.get("Content-Encoding") == "gzip" else None
    ends = time.monotonic() + MAX_SECONDS
    body = bytearray()
    while len(body) <= MAX_RESOURCE and (part := response.read1(_PART)):
        if time.monotonic() > ends:
            raise TimeoutError(f"not finished after {MAX_SECONDS} seconds")
        body += part if unpack is None else unpack.decompress(part, MAX_RESOURCE + 1 - len(body))
    return bytes(body)


def _reason(exc: Exception) -> str:
    reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
    return str(reason) or type(reason).__name__


def open_source(location: str) -> Source:
    """The source behind an address or the path of a directory.

    Raises:
        MalformedError: neither.
    """
    if location.startswith(("http://", "https://")):
        return HTTPSource(location)
    directory = Path(location)
    if not directory.is_dir():
        raise MalformedError(f"{location} is neither a directory nor an http(s) address")
    return DirectorySource(directory)
