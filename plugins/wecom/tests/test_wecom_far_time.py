"""What time the far end says it is, which bears this machine's clock out or does not."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from lanmu.interfaces.clock import FarTime, TellsTime, utc
from lanmu.testing.clock import FakeClock
from lanmu_wecom.broadcast import GroupChannel
from lanmu_wecom.client import Client

from .test_wecom_wire import far_end


def _answered(date: bytes) -> Callable[..., None]:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n" + date + b"\r\n"
    return lambda peer: peer.sendall(head + b'{"errcode":0}')


def test_the_date_of_an_answer_is_kept_with_the_boot_time_at_which_it_came():
    clock = FakeClock()
    clock.jump(timedelta(days=3))
    with far_end(_answered(b"Date: Mon, 23 Nov 2026 00:00:05 GMT\r\n")) as (url, _read):
        client = Client(url, clock=clock)
        assert client.far_time() is None
        client.ask("GET", "/cgi-bin/x")
        client.close()
    assert client.far_time() == FarTime(utc(2026, 11, 23, 0, 0, 5), 1000.0)


@pytest.mark.parametrize("date", [b"", b"Date: yesterday\r\n", b"Date: \r\n", b"Date: Mon, 99 Nov 2026\r\n"])
def test_a_date_that_is_none_tells_nothing(date: bytes):
    with far_end(_answered(date)) as (url, _read):
        client = Client(url, clock=FakeClock())
        client.ask("GET", "/cgi-bin/x")
        client.close()
    assert client.far_time() is None


def test_the_broadcast_channels_tell_the_time():
    assert issubclass(GroupChannel, TellsTime)
