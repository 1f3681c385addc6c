import pickle

from crypto import errors


def subclasses(kind):
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_error_has_a_code_of_its_own_and_a_docstring():
    found = {kind for kind in subclasses(errors.CryptoError) if kind.__module__ == "crypto.errors"}
    assert len({kind.code for kind in found}) == len(found) == 5
    assert all(kind.__doc__ for kind in found)


def test_a_failed_decryption_says_nothing_about_its_cause():
    assert str(errors.DecryptionError()) == "the sealed value does not open"
    assert errors.DecryptionError().args == errors.DecryptionError().args


def test_errors_survive_being_sent_to_another_process():
    error = pickle.loads(pickle.dumps(errors.MalformedError("x")))
    assert isinstance(error, errors.MalformedError)
    assert str(error) == "x"
