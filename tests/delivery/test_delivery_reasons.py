"""Why something did not go out is told in the reader's language, with its numbers in place."""

import pytest

from lanmu.i18n import Catalog, Filled, from_store, to_store
from lanmu.interfaces.channels import Refusal


def test_a_reason_with_slots_comes_back_from_the_database_translatable():
    inner = Filled("Shorten the text.")
    reason = Filled(
        "%(fault)s %(way_out)s", fault=Filled("a test has at most %(most)d versions.", most=6), way_out=inner
    )

    back = from_store(to_store(reason))

    assert back == reason == "a test has at most 6 versions. Shorten the text."
    assert Catalog().gettext("zh-CN", back).startswith("一次测试最多 6 个版本。")


def test_a_reason_without_slots_is_stored_as_it_stands():
    assert to_store("The push was cancelled.") == "The push was cancelled."
    assert from_store("100% of it") == "100% of it"


def test_a_reason_that_is_put_into_another_keeps_its_translation():
    inner = Filled("The channel has sent all %(most)s messages it may send %(when)s.", most=1, when="today")
    outer = Filled("%(why)s Its deadline comes first.", why=Filled(inner))
    told = Catalog().gettext("zh-CN", from_store(to_store(outer)))
    assert told.startswith("该渠道")
    assert "channel" not in told


@pytest.mark.parametrize(("config", "code"), [(False, "content"), (True, "settings")])
def test_what_the_settings_lack_is_told_apart_from_a_text_that_does_not_fit(
    make_room, sqlite_database, config, code
):
    room = make_room(sqlite_database)
    room.channel.compose = lambda *_of: Refusal("No robot is named so.", "Add it.", config=config)
    push = room.send("a")
    room.run()
    unit = room.unit(push)
    assert (unit.state, unit.code) == ("held", code)
    assert "No robot is named so. Add it." in str(unit.reason)


def test_what_plugins_object_to_is_told_in_the_readers_language_one_by_one(make_room, sqlite_database):
    room = make_room(sqlite_database)
    room.objects += ["The push was cancelled.", Filled("a test has at most %(most)d versions.", most=6)]
    push = room.send("a")
    room.run()

    told = Catalog().gettext("zh-CN", room.unit(push).reason)

    assert told == "推送已取消。; 一次测试最多 6 个版本。"
