"""The least that the cryptography of one brokered request costs: bare calls of ``cryptography``, in one thread.

One ES256 verification (the proof), one ES256 signature (the answer), and one ECDH-ES key agreement with AES-256-GCM
over an answer of usual length. The request itself makes a second signature (the receipt) and opens and seals fields;
the floor stays at what every such exchange must do.
"""

import os
import time
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

_ANSWER_BYTES: Final = 2_800
_ALGORITHM: Final = ec.ECDSA(SHA256())
_CURVE: Final = ec.SECP256R1()


def crypto_floor(rounds: int) -> float:
    """CPU microseconds of one request's bare cryptography."""
    private = ec.generate_private_key(_CURVE)
    public = private.public_key()
    recipient = ec.generate_private_key(_CURVE).public_key()
    message = os.urandom(400)
    signature = private.sign(message, _ALGORITHM)
    answer = os.urandom(_ANSWER_BYTES)
    began = time.process_time()
    for _ in range(rounds):
        public.verify(signature, message, _ALGORITHM)
        private.sign(answer, _ALGORITHM)
        ephemeral = ec.generate_private_key(_CURVE)
        shared = ephemeral.exchange(ec.ECDH(), recipient)
        AESGCM(sha256(shared).digest()).encrypt(os.urandom(12), answer, None)
    return (time.process_time() - began) / rounds * 1e6
