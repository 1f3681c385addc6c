import pytest

from crypto.errors import MalformedError, VerificationError
from crypto.signing import Ed25519Signer, load_ed25519_public, verify_ed25519

P = 2**255 - 19


# RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_the_standard(seed, public, message, signature):
    signer = Ed25519Signer(bytes.fromhex(seed))
    assert signer.public_bytes.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    verify_ed25519(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_does_not_hold(length):
    with pytest.raises(VerificationError):
        verify_ed25519(Ed25519Signer(bytes(32)).public_bytes, bytes(length), b"x")


def test_a_signature_holds_for_its_message_and_key_only():
    signer = Ed25519Signer(bytes(32))
    with pytest.raises(VerificationError):
        verify_ed25519(signer.public_bytes, signer.sign(b"x"), b"y")
    with pytest.raises(VerificationError):
        verify_ed25519(Ed25519Signer(bytes(31) + b"\x01").public_bytes, signer.sign(b"x"), b"x")


def test_a_signature_with_a_number_past_the_order_is_refused():
    # Malleability, RFC 8032 §5.1.7: S + L verifies under a careless check.
    signer = Ed25519Signer(bytes(32))
    signature = signer.sign(b"x")
    order = 2**252 + 27742317777372353535851937790883648493
    number = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(VerificationError):
        verify_ed25519(signer.public_bytes, signature[:32] + number.to_bytes(32, "little"), b"x")


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_a_public_key_has_32_bytes(public):
    with pytest.raises(MalformedError):
        load_ed25519_public(public)


def small_order_points():
    """All encodings of points whose order divides 8, worked out from the curve's equation."""
    d = -121665 * pow(121666, -1, P) % P
    root_of_minus_one = pow(2, (P - 1) // 4, P)

    def square_root(number):
        root = pow(number, (P + 3) // 8, P)
        if (root * root - number) % P:
            root = root * root_of_minus_one % P
        return root if (root * root - number) % P == 0 else None

    # Doubling a point of order 8 gives y = 0, so -x^2 = y^2 and d y^4 + 2 y^2 - 1 = 0.
    discriminant = square_root(1 + d)
    candidates = [(-1 + sign * discriminant) * pow(d, -1, P) % P for sign in (1, -1)]
    eighths = [root for root in map(square_root, candidates) if root]
    for y in (0, 1, P - 1, *eighths, *(P - root for root in eighths)):
        for sign in (0, 1):
            yield (y | sign << 255).to_bytes(32, "little")


def test_a_key_of_small_order_is_refused():
    points = list(small_order_points())
    assert len(points) == 10
    for point in points:
        with pytest.raises(MalformedError):
            load_ed25519_public(point)


@pytest.mark.parametrize("y", [P, P + 1, P + 5, 2**255 - 1])
def test_a_second_spelling_of_a_key_is_refused(y):
    with pytest.raises(MalformedError):
        load_ed25519_public(y.to_bytes(32, "little"))
    with pytest.raises(MalformedError):
        load_ed25519_public((y | 1 << 255).to_bytes(32, "little"))


def test_a_point_that_is_not_on_the_curve_verifies_nothing():
    with pytest.raises((MalformedError, VerificationError)):
        verify_ed25519((2).to_bytes(32, "little"), bytes(64), b"x")


def test_the_seed_is_not_shown_and_has_32_bytes():
    signer = Ed25519Signer(bytes(range(32)))
    assert bytes(range(32)).hex() not in repr(signer)
    assert signer.public_bytes.hex() in repr(signer)
    with pytest.raises(MalformedError):
        Ed25519Signer(bytes(31))
