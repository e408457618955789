"""Packs from composing to the last tick: written once, read back, postponed, undone, taken back."""

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lanmu.interfaces.channels import (
    Asset,
    Message,
    NotConnected,
    Outcome,
    Ref,
    Request,
    Target,
    TargetState,
)
from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Conflict, Invalid, NotFound
from lanmu.testing.clock import FakeClock
from lanmu.testing.files import sample_file
from lanmu.testing.host import FakeHost
from lanmu_personal_wechat_export import PersonalWechatExportPlugin, moments
from lanmu_personal_wechat_export.archive import write_zip
from lanmu_personal_wechat_export.channel import PackChannel
from lanmu_personal_wechat_export.chunks import pieces
from lanmu_personal_wechat_export.store import SKIP_REASONS, PackView, Tick

SHANGHAI = ZoneInfo("Asia/Shanghai")
TARGETS = [Target("g1", "一群"), Target("g2", "二群"), Target("m1", "小雨", "member")]


class Bench:
    """A loaded plugin with what the tests do to it."""

    def __init__(self, plugin: PersonalWechatExportPlugin, host: FakeHost) -> None:
        self.plugin, self.host, self.store = plugin, host, plugin.store
        (channel,) = plugin.lanmu_channels()
        assert isinstance(channel, PackChannel)
        self.channel = channel

    def request(self, text: str = "早上好", *, assets: tuple[Asset, ...] = (), **changes: Any) -> Request:
        message = Message("psh_1", changes.pop("token", "tok1"), "早安", text, assets, "小雨", **changes)
        request = self.channel.compose(message, TARGETS)
        assert isinstance(request, Request), str(request)
        return request

    def hand_over(self, request: Request) -> str:
        self.channel.connect(request)
        verdict = self.channel.classify(self.channel.transmit(request, None))
        assert verdict.outcome is Outcome.HANDED_OVER
        assert verdict.ref is not None
        return verdict.ref.id

    def states(self, pack: str) -> list[str]:
        return [result.state.value for result in self.channel.results(Ref(pack))]


@pytest.fixture
def bench(lanmu_load: Any, lanmu_host: FakeHost) -> Bench:
    return Bench(lanmu_load(PersonalWechatExportPlugin), lanmu_host)


def test_a_resend_of_the_same_bytes_makes_no_second_pack(bench: Bench) -> None:
    request = bench.request()
    assert bench.hand_over(request) == bench.hand_over(request)
    assert len(bench.store.listing(utc(2026, 1, 1))) == 1


def test_a_pack_holds_the_texts_the_files_and_the_groups_in_order(bench: Bench, tmp_path: Path) -> None:
    files = tuple(sample_file(tmp_path, name, "image/png") for name in ("二.png", "一.png"))
    pack = bench.store.get(bench.hand_over(bench.request(assets=files)))
    assert pack.executor == "小雨"
    assert pack.document.texts == ("早上好",)
    assert [file.name for file in pack.document.files] == ["二.png", "一.png"]
    assert [(item.position, item.name) for item in pack.items] == [(1, "一群"), (2, "二群"), (3, "小雨")]


def test_a_file_that_was_changed_after_the_approval_is_not_handed_over(bench: Bench, tmp_path: Path) -> None:
    file = sample_file(tmp_path, "海报.png", "image/png")
    request = bench.request(assets=(file,))
    file.path.write_bytes(b"something else")
    with pytest.raises(NotConnected, match=r"海报\.png is gone or is no longer") as told:
        bench.channel.connect(request)
    assert told.value.config
    assert bench.store.listing(utc(2026, 1, 1)) == []


def test_the_outcome_is_what_the_person_ticked(bench: Bench) -> None:
    pack = bench.hand_over(bench.request())
    assert bench.states(pack) == ["waiting", "waiting", "waiting"]
    bench.store.tick(pack, 1, Tick("done"))
    bench.store.tick(pack, 2, Tick("skip", reason="similar"))
    bench.store.tick(pack, 3, Tick("postpone", until=utc(2026, 11, 23, 12)))
    results = list(bench.channel.results(Ref(pack)))
    assert [result.state for result in results] == [
        TargetState.DELIVERED,
        TargetState.SKIPPED,
        TargetState.POSTPONED,
    ]
    assert results[1].reason == SKIP_REASONS["similar"]
    assert results[2].reason == "2026-11-23 20:00"


def test_a_pack_is_finished_when_nobody_is_left_and_open_again_after_an_undo(bench: Bench) -> None:
    pack = bench.hand_over(bench.request())
    for position in (1, 2, 3):
        bench.store.tick(pack, position, Tick("done"))
    assert bench.store.get(pack).finished_at is not None
    bench.store.tick(pack, 2, Tick("undo"))
    assert bench.store.get(pack).finished_at is None
    assert bench.states(pack) == ["delivered", "waiting", "delivered"]


def test_the_same_tick_twice_keeps_the_first_time(bench: Bench, lanmu_clock: FakeClock) -> None:
    pack = bench.hand_over(bench.request())
    first = bench.store.tick(pack, 1, Tick("done")).items[0].changed_at
    lanmu_clock.advance(timedelta(minutes=5))
    assert bench.store.tick(pack, 1, Tick("done")).items[0].changed_at == first


@pytest.mark.parametrize(
    ("tick", "fault"),
    [
        (Tick("skip"), "Say why"),
        (Tick("skip", reason="lazy"), "Say why"),
        (Tick("postpone"), "until when"),
        (Tick("postpone", until=utc(2026, 11, 22)), "has passed"),
        (Tick("postpone", until=utc(2026, 11, 23, 13)), "after the deadline"),
    ],
)
def test_a_tick_that_cannot_be_is_refused_and_changes_nothing(bench: Bench, tick: Tick, fault: str) -> None:
    pack = bench.hand_over(bench.request(deadline=utc(2026, 11, 23, 12)))
    with pytest.raises(Invalid, match=fault):
        bench.store.tick(pack, 1, tick)
    assert bench.states(pack) == ["waiting", "waiting", "waiting"]


def test_a_pack_that_is_taken_back_takes_no_more_delays(bench: Bench) -> None:
    pack = bench.hand_over(bench.request())
    bench.store.tick(pack, 1, Tick("done"))
    assert bench.channel.cancel(Ref(pack)).cancelled
    with pytest.raises(Conflict):
        bench.store.tick(pack, 2, Tick("postpone", until=utc(2026, 11, 24)))
    bench.store.tick(pack, 2, Tick("done"))  # it had gone out already: the truth may still be told
    assert bench.states(pack) == ["delivered", "delivered", "skipped"]


def test_what_is_settled_cannot_be_taken_back(bench: Bench) -> None:
    pack = bench.hand_over(bench.request())
    for position in (1, 2, 3):
        bench.store.tick(pack, position, Tick("done"))
    assert not bench.channel.cancel(Ref(pack)).cancelled


def test_an_unknown_pack_or_recipient_is_told(bench: Bench) -> None:
    with pytest.raises(NotFound, match="pck_none"):
        bench.store.get("pck_none")
    with pytest.raises(NotFound):
        bench.store.tick(bench.hand_over(bench.request()), 9, Tick("done"))


def test_yesterdays_open_packs_stay_on_the_list_and_finished_ones_leave_it(
    bench: Bench, lanmu_clock: FakeClock
) -> None:
    left = bench.hand_over(bench.request(token="left"))
    done = bench.hand_over(bench.request(token="done"))
    for position in (1, 2, 3):
        bench.store.tick(done, position, Tick("done"))
    lanmu_clock.advance(timedelta(days=1))
    today = moments.start_of_day(lanmu_clock.now(), SHANGHAI)
    assert [pack.id for pack in bench.store.listing(today)] == [left]


@given(st.text(alphabet="家里的宝宝。！\n a👩‍👩‍👧🇨🇳é\u0301", max_size=400))
@settings(deadline=None, database=None)
def test_pieces_hold_the_whole_text_and_none_is_too_long(text: str) -> None:
    cut = pieces(text, 40)
    assert all(0 < len(piece) <= 40 for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())


def test_a_long_text_is_cut_between_paragraphs_before_it_is_cut_between_sentences() -> None:
    assert pieces("一。" * 9 + "\n\n" + "二。" * 9, 20) == ("一。" * 9, "二。" * 9)
    assert pieces("一二三四五。六七八九十。", 8) == ("一二三四五。", "六七八九十。")


def test_a_family_of_emoji_is_not_torn_apart() -> None:
    family = "👨‍👩‍👧‍👦"
    assert all(piece.count("\u200d") in (0, 3) for piece in pieces("字" * 6 + family + "字" * 6, 10))


@pytest.mark.parametrize(
    ("hour", "deadline", "words"),
    [
        (9, None, ["hour", "evening", "morning"]),
        (19, None, ["hour", "morning"]),
        (22, None, ["morning"]),
        (9, utc(2026, 11, 23, 4), ["hour"]),
    ],
)
def test_only_times_that_are_ahead_and_before_the_deadline_are_offered(
    hour: int, deadline: Any, words: list[str]
) -> None:
    now = utc(2026, 11, 23, hour - 8)
    assert [choice.word for choice in moments.choices(now, deadline, SHANGHAI)] == words


def test_the_zip_holds_the_same_and_reads_well_on_windows(bench: Bench, tmp_path: Path) -> None:
    picture = sample_file(tmp_path, "海报.png", "image/png")
    pack = bench.store.get(bench.hand_over(bench.request("第一行\n第二行", assets=(picture,))))
    archive = _zip(bench, pack)
    assert archive.namelist() == ["01-文案.txt", "02-图片.png", "群名单.txt", "说明.html"]
    assert archive.read("01-文案.txt") == b"\xef\xbb\xbf" + "第一行\r\n第二行".encode()
    assert archive.read("02-图片.png") == picture.path.read_bytes()
    assert "1. 一群\r\n2. 二群\r\n3. 小雨".encode() in archive.read("群名单.txt")
    assert "第一行" in archive.read("说明.html").decode()


def test_the_zip_of_one_pack_is_the_same_bytes_each_time(bench: Bench) -> None:
    pack = bench.store.get(bench.hand_over(bench.request()))
    first, second = io.BytesIO(), io.BytesIO()
    for out in (first, second):
        write_zip(out, pack, bench.plugin.files, SHANGHAI, "en")
    assert first.getvalue() == second.getvalue()


def test_the_commands_list_the_packs_and_write_the_zip(bench: Bench, tmp_path: Path) -> None:
    pack = bench.hand_over(bench.request())
    packs, zip_pack = bench.plugin.lanmu_commands()
    listed = CliRunner().invoke(packs, ["--json"])
    assert json.loads(listed.output)[0]["id"] == pack
    assert f"{pack}  11-23 08:00    0/3  小雨  早安" in CliRunner().invoke(packs, []).output
    out = tmp_path / "out.zip"
    written = CliRunner().invoke(zip_pack, [pack, "-o", str(out), "--lang", "en"])
    assert written.exit_code == 0, written.output
    assert zipfile.ZipFile(out).namelist() == ["01-text.txt", "groups.txt", "read me first.html"]


def _zip(bench: Bench, pack: PackView) -> zipfile.ZipFile:
    out = io.BytesIO()
    write_zip(out, pack, bench.plugin.files, SHANGHAI, "zh-CN")
    return zipfile.ZipFile(out)
