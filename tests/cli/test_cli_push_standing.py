"""`lanmu push list` calls a push what the console calls it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lanmu.interfaces.channels import Observation
from lanmu.interfaces.events import Objection
from lanmu.plugins import Plugins
from lanmu_personal_wechat_export.channel import PackChannel

LOST = Observation(wrote=True, fault="The line broke.")
LISTED = replace(PackChannel.abilities, idempotency=None, settle=timedelta(minutes=10))
MUTE = replace(PackChannel.abilities, idempotency=None, lookup=False)


def test_a_push_whose_unit_waits_for_a_person_is_not_called_sending(lanmu, monkeypatch):
    monkeypatch.setattr(Plugins, "objections", lambda *_: [Objection("no prices")])
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "g1", "--text", "hello")
    assert sent.exit_code == 1
    assert "no prices" in sent.stdout
    listed = lanmu("push", "list").stdout
    assert "Sending" not in listed
    assert "On hold" in listed


@pytest.mark.parametrize(
    ("abilities", "lang", "word", "hint"),
    [
        (LISTED, "en", "Being checked", "finds out by itself"),
        (LISTED, "zh", "正在核实", "lanmu push show"),
        (MUTE, "en", "Outcome unknown", "sent|again|give-up"),
        (MUTE, "zh", "结果不明", "lanmu push decide"),
    ],
)
def test_a_test_of_which_nobody_knows_is_told_with_what_comes_next(
    lanmu, monkeypatch, abilities, lang, word, hint
):
    monkeypatch.setattr(PackChannel, "transmit", lambda *_: LOST)
    monkeypatch.setattr(PackChannel, "abilities", abilities)
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "g1", "--text", "hello", lang=lang)
    assert sent.exit_code == 1, "it is not known to be out"
    push = sent.stdout.split()[0]
    assert word in sent.stdout
    assert hint in sent.stderr
    assert push in sent.stderr
    listed = lanmu("push", "list", lang=lang).stdout
    assert word in listed, "the list calls it the same"


def test_a_doubt_is_looked_at_again_from_the_command_line(lanmu, monkeypatch):
    monkeypatch.setattr(PackChannel, "transmit", lambda *_: LOST)
    monkeypatch.setattr(PackChannel, "abilities", MUTE)
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "g1", "--text", "hello")
    push = sent.stdout.split()[0]
    refused = lanmu("push", "look-again", push, "1", lang="zh")
    assert (refused.exit_code, "这个渠道不支持查询是否已发出。" in refused.stderr) == (1, True)
    monkeypatch.setattr(PackChannel, "abilities", LISTED)
    assert "Being checked" in lanmu("push", "look-again", push, "1").stdout
    assert "asked already" in lanmu("push", "look-again", push, "1").stderr
    assert "nothing of it" in lanmu("push", "look-again", push).stderr
