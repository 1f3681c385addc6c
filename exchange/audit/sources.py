"""Where the offline verifier reads a log from: a directory or an address, both in C2SP tlog-tiles layout. No database.

What is read is untrusted: every byte of it is compared with what the checkpoint's signature stands for.
"""

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from crypto.errors import MalformedError
from exchange.audit.tiles import TILE_WIDTH

MAX_RESOURCE: Final = TILE_WIDTH * (2 + 65_535)
"""The largest bundle that can exist: 256 entries of 65,535 bytes."""
TIMEOUT_SECONDS: Final = 30


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
            with (self._directory / path).open("rb") as file:
                # Not simply read(MAX_RESOURCE): that would set 16 MiB aside for every small file.
                return file.read(min(os.fstat(file.fileno()).st_size, MAX_RESOURCE) + 1)
        except (FileNotFoundError, NotADirectoryError):
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
        request = urllib.request.Request(f"{self._prefix}/{path}")  # noqa: S310  # see above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  # see above
                body: bytes = response.read(MAX_RESOURCE + 1)
                return body
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code in {404, 410}:
                return None
            if exc.code in {401, 403}:
                raise PermissionError(f"{self} does not show {path} to everybody") from None
            raise

    def __str__(self) -> str:
        return self._prefix


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
