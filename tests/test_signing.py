"""Signed links: a value comes back from its own purpose until its time, and from nothing else."""

import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.interfaces.secrets import Secret
from lanmu.signing import Signer
from lanmu.testing.clock import FakeClock

HOUR = timedelta(hours=1)


@pytest.fixture
def signer(clock: FakeClock) -> Signer:
    return Signer(Secret("a secret of this test, long enough"), clock)


@given(value=st.text(st.characters(codec="utf-8")), purpose=st.text(st.characters(codec="utf-8")))
def test_a_value_comes_back_as_it_was(value: str, purpose: str):
    signer = Signer(Secret("a secret of this test, long enough"), FakeClock())
    token = signer.sign(purpose, value, HOUR)
    assert token.isascii()
    assert token.replace("-", "").replace("_", "").isalnum()
    assert signer.unsign(purpose, token) == value


def test_a_token_dies_at_its_time(signer: Signer, clock: FakeClock):
    token = signer.sign("h5", "mem_1", HOUR)
    clock.advance(HOUR - timedelta(seconds=1))
    assert signer.unsign("h5", token) == "mem_1"
    clock.advance(timedelta(seconds=1))
    assert signer.unsign("h5", token) is None


def test_a_token_of_another_purpose_or_server_is_worthless(signer: Signer, clock: FakeClock):
    token = signer.sign("plugin/points/member", "mem_1", HOUR)
    assert signer.unsign("plugin/wecom/member", token) is None
    assert (
        Signer(Secret("another secret, and long enough"), clock).unsign("plugin/points/member", token) is None
    )
    assert len({signer.key(purpose) for purpose in ("queue", "flashes", "coupons")}) == 3


def test_no_byte_of_a_token_can_be_altered(signer: Signer):
    token = signer.sign("h5", "mem_1", HOUR)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(raw)):
        altered = bytearray(raw)
        altered[place] ^= 1
        assert signer.unsign("h5", base64.urlsafe_b64encode(bytes(altered)).decode().rstrip("=")) is None


@given(st.text(max_size=200))
def test_whatever_is_no_token_is_none(text: str):
    assert Signer(Secret("a secret of this test, long enough"), FakeClock()).unsign("h5", text) is None
