"""Made-up observations: all that may be seen of one write, and the rubbish that far ends answer."""

from hypothesis import strategies as st

from lanmu.interfaces.channels import Observation
from lanmu.misreadings import FAULTS

RUBBISH = (
    b"",
    b"null",
    b"[]",
    b"0",
    b'""',
    b"{}",
    b'{"errcode": "0"}',
    b'{"errcode": null}',
    b"\xff",
    b"<html>",
)


def observations() -> st.SearchStrategy[Observation]:
    """Anything that may be seen of a write: statuses, JSON and rubbish, whole and cut."""
    json = st.builds(
        lambda code, text: f'{{"errcode": {code}, "errmsg": "{text}"}}'.encode(),
        st.integers(-10, 100_000),
        st.sampled_from(["ok", "invalid", "", "测试"]),
    )
    return st.builds(
        Observation,
        wrote=st.booleans(),
        status=st.none() | st.integers(100, 599),
        body=st.binary(max_size=60) | json | st.sampled_from(RUBBISH),
        fault=st.sampled_from(FAULTS),
    )
