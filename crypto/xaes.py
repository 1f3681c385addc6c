"""XAES-256-GCM (C2SP, version 1): AES-256-GCM with a 24-byte nonce, so that random nonces never run out.

Used wherever one key seals very many things (data keys under a key-encryption key, key files). A derived key per nonce
is made from two AES calls (NIST SP 800-108r1 in counter mode with CMAC); the rest is AES-256-GCM.
"""

import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.errors import DecryptionError, MalformedError
from crypto.ids import random_bytes
from crypto.kdf import require_key

NONCE_BYTES = 24
OVERHEAD_BYTES = NONCE_BYTES + 16
"""What :meth:`XAES256GCM.seal` adds to a plaintext: nonce and tag."""
_MASK_128 = (1 << 128) - 1


class XAES256GCM:
    """One key, ready for use. Safe to share between threads."""

    __slots__ = ("_block", "_lock", "_subkey_1", "_subkey_2")

    def __init__(self, key: bytes) -> None:
        """Prepare a key of 32 bytes.

        Raises:
            MalformedError: another length.
        """
        # ECB over single blocks is the bare AES permutation that CMAC is made of; no message is encrypted with it.
        cipher = Cipher(algorithms.AES(require_key(key, "an XAES key")), modes.ECB())  # noqa: S305 - see above
        self._block = cipher.encryptor()
        self._lock = threading.Lock()
        doubled = int.from_bytes(self._block.update(bytes(16)), "big") << 1
        # CMAC subkey K1 (NIST SP 800-38B §6.1): doubling in GF(2^128).
        subkey = (doubled & _MASK_128) ^ (0x87 if doubled >> 128 else 0)
        # The counter blocks 1 and 2: counter(2) || "X" || 0x00 || nonce[:12], already combined with the subkey.
        self._subkey_1 = subkey ^ int.from_bytes(b"\x00\x01X\x00" + bytes(12), "big")
        self._subkey_2 = subkey ^ int.from_bytes(b"\x00\x02X\x00" + bytes(12), "big")

    def _derive(self, nonce: bytes) -> AESGCM:
        prefix = int.from_bytes(nonce[:12], "big")
        blocks = (self._subkey_1 ^ prefix).to_bytes(16, "big") + (self._subkey_2 ^ prefix).to_bytes(16, "big")
        # The context keeps no state between blocks, but two threads must not be inside it at once.
        with self._lock:
            key = self._block.update(blocks)
        return AESGCM(key)

    def encrypt(self, nonce: bytes, plaintext: bytes, *, aad: bytes) -> bytes:
        """Encrypt under a nonce that the caller chose and will never use again; prefer :meth:`seal`.

        Raises:
            MalformedError: the nonce has not 24 bytes.
        """
        if len(nonce) != NONCE_BYTES:
            raise MalformedError(f"an XAES nonce has {NONCE_BYTES} bytes")
        return self._derive(nonce).encrypt(nonce[12:], plaintext, aad)

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Encrypt under a fresh random nonce. The result is nonce || ciphertext || tag."""
        nonce = random_bytes(NONCE_BYTES)
        return nonce + self._derive(nonce).encrypt(nonce[12:], plaintext, aad)

    def open(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Decrypt what :meth:`seal` made.

        Raises:
            DecryptionError: too short, altered, or sealed under another key or associated data.
        """
        if len(sealed) < OVERHEAD_BYTES:
            raise DecryptionError
        nonce = sealed[:NONCE_BYTES]
        try:
            return self._derive(nonce).decrypt(nonce[12:], sealed[NONCE_BYTES:], aad)
        except InvalidTag:
            raise DecryptionError from None

    def __repr__(self) -> str:
        return "XAES256GCM(<redacted>)"
