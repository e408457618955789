"""`lanmu push list` calls a push what the console calls it."""

from lanmu.interfaces.events import Objection
from lanmu.plugins import Plugins


def test_a_push_whose_unit_waits_for_a_person_is_not_called_sending(lanmu, monkeypatch):
    monkeypatch.setattr(Plugins, "objections", lambda *_: [Objection("no prices")])
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "g1", "--text", "hello")
    assert sent.exit_code == 1
    assert "no prices" in sent.stdout
    listed = lanmu("push", "list").stdout
    assert "Sending" not in listed
    assert "On hold" in listed
