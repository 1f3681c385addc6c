"""Addresses in proofs: two spellings of one address are equal, two addresses never are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.oauth.dpop import encoded_path, normalised
from api.oauth.errors import ProofError, readable

PUBLIC = "https://exchange.example"
paths = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(lambda text: "/" + text)


@given(paths, paths)
def test_two_paths_are_two_addresses(first, second):
    same = normalised(PUBLIC + encoded_path(first)) == normalised(PUBLIC + encoded_path(second))
    assert same == (first == second)


@given(paths)
def test_an_encoded_path_is_its_own_normal_form(path):
    assert normalised(PUBLIC + encoded_path(path))[3] == encoded_path(path)


@pytest.mark.parametrize(
    "url",
    ["", "x", "/x", "//x", "ftp://x/", "https://", "https:///x", "https://a@b/", "https://a:x/", "https://[x/"],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ProofError):
        normalised(url)


@given(st.text(max_size=400))
def test_whatever_is_quoted_in_an_error_is_harmless(text):
    shown = readable(text)
    assert len(shown) <= 300
    assert all(0x20 <= ord(character) <= 0x7E and character not in '"\\' for character in shown)
