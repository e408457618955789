"""A test send carries its own words to one recipient, by the same way as every push."""

from dataclasses import replace

import pytest

from lanmu.delivery.sending.asking import no_such_channel
from lanmu.interfaces.errors import Invalid


def test_a_test_send_goes_out_with_its_own_words_and_its_mark(room):
    push = room.service.test(room.channel.name, "g1", "", "今晚八点见", "li")
    assert room.run() == 1
    assert room.states(push) == ["accepted"]
    (attempt,) = room.attempts(push)
    assert "【测试】今晚八点见".encode() in attempt.request
    assert room.snapshots_read == 0, "no material is read for it"


def test_two_test_sends_of_the_same_words_are_two_messages(room):
    for _again in range(2):
        room.service.test(room.channel.name, "g1", "", "今晚八点见", "li")
    room.run()
    assert room.channel.sends() == {"g1": 2}


def test_placeholders_in_a_test_send_are_filled(room):
    push = room.service.test(room.channel.name, "g1", "", "欢迎来到{{ shop.name }}", "li")
    room.run()
    (attempt,) = room.attempts(push)
    assert "欢迎来到Little Star".encode() in attempt.request


def test_objections_hold_a_test_send_too(room):
    room.objects.append("a forbidden word")
    push = room.service.test(room.channel.name, "g1", "", "最好的奶粉", "li")
    room.run()
    assert room.states(push) == ["held"]
    assert room.unit(push).reason == "a forbidden word"


@pytest.mark.parametrize(("channel", "text"), [("nobody.runs", "hello"), (None, "  ")])
def test_a_test_send_without_words_or_channel_is_refused(room, channel, text):
    with pytest.raises(Invalid):
        room.service.test(channel or room.channel.name, "g1", "", text, "li")


def test_a_slip_of_a_channels_name_is_told_the_right_one(room):
    with pytest.raises(Invalid, match=r"Did you mean fake\.channel\?"):
        room.service.test("fake.chanel", "g1", "", "hello", "li")
    with pytest.raises(Invalid, match=r"Running channels: fake\.channel\."):
        room.service.test("dingding", "g1", "", "hello", "li")


def test_a_channel_of_a_known_plugin_is_not_taken_for_a_slip_of_another():
    running = ["wecom.group", "wecom.customer"]
    said = str(no_such_channel("channel", "wecom.robot", running))
    assert "see [plugins.wecom] in config.toml" in said
    assert "Did you mean" not in said
    assert "Did you mean wecom.customer?" in str(no_such_channel("channel", "wecom.customr", running))
    assert "Did you mean wecom.group?" in str(no_such_channel("channel", "wecm.group", running))
    assert "see [plugins.echo]" in str(no_such_channel("channel", "echo.one", running, ["echo"]))


def test_a_run_for_one_push_sends_all_of_it_and_nothing_else_that_is_due(room):
    room.channel.abilities = replace(room.channel.abilities, batch_max=1)
    before, wanted, after = room.send("g1"), room.send("g2", "g3"), room.send("g4")
    assert room.dispatcher(concurrency=1).run_due(push=wanted.row) == 2, "batch after batch"
    assert [room.states(each) for each in (before, wanted, after)] == [
        ["pending"],
        ["accepted", "accepted"],
        ["pending"],
    ]
    room.run()
    assert room.states(before) == room.states(after) == ["accepted"]
