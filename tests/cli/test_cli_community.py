"""`lanmu community import` brings groups in from a file, and names the line of what it leaves out."""

import json

import pytest

CHANNEL = "personal_wechat_export.pack"
HEAD = "name,type,stage,size,tags,mix,channel,key,sender\n"


@pytest.fixture
def groups(folder):
    """Writes the file."""

    def write(text: str, name: str = "groups.csv", encoding: str = "utf-8") -> None:
        (folder / name).write_text(text, encoding=encoding)

    return write


def _exported(lanmu, *names):
    told = lanmu("community", "import", *names, "--json")
    return told.exit_code, json.loads(told.stdout)


def test_groups_are_created_once_and_then_as_they_were(lanmu, groups):
    mix = "engagement:60 conversion:30 brand:10"
    groups(HEAD + f"早餐群,general,active,120,早餐 上海,{mix},{CHANNEL},g1,\n\n晚餐群,,,,,,,,\n")
    first = lanmu("community", "import", "groups.csv")
    assert (first.exit_code, first.stdout) == (0, "2 created, 0 changed, 0 as they were.\n")
    again = lanmu("community", "import", "groups.csv", lang="zh")
    assert again.stdout == "新建 0 个，更新 0 个，未变 2 个。\n"


def test_a_file_of_a_chinese_excel_is_read(lanmu, groups):
    groups(HEAD + "早餐群,,,3,,,,,\n", encoding="gb18030")
    assert _exported(lanmu, "groups.csv")[1]["created"] == 1
    groups("\ufeff" + HEAD + "早餐群,,,3,,,,,\n")
    assert _exported(lanmu, "groups.csv")[1]["unchanged"] == 1


def test_later_rows_of_one_name_add_their_channels(lanmu, groups):
    groups(HEAD + f"早餐群,,,9,,,{CHANNEL},g1,li\n早餐群,,,,,,{CHANNEL}x,g2,\n晚餐群,,,,,,,,\n")
    code, told = _exported(lanmu, "groups.csv")
    assert (code, told["created"]) == (1, 1)
    (fault,) = told["faults"]
    assert fault["place"] == "groups.csv:2: channel"
    assert f"Did you mean {CHANNEL}?" in fault["fault"]


def test_a_faulty_row_is_named_by_its_line_and_the_rest_is_in(lanmu, groups):
    groups(
        HEAD
        + "早餐群,,,many,,,,,\n"
        + "午餐群,,nowhere,,,,,,\n"
        + "晚餐群,,,,,,,g1,\n"
        + "夜宵群,,,,,engagement:x,,,\n"
        + ",,,5,,,,,\n"
        + "好群,,,5,,,,,\n"
    )
    told = lanmu("community", "import", "groups.csv")
    assert told.exit_code == 1
    assert told.stdout == "1 created, 0 changed, 0 as they were.\n"
    for line in ("groups.csv:2: size", "groups.csv:3: stage", "groups.csv:4: channel", "groups.csv:5: mix"):
        assert line in told.stderr
    assert "groups.csv:6: name: is missing." in told.stderr


def test_a_column_that_is_not_known_is_told_with_those_that_are(lanmu, groups):
    groups("name,grup\n早餐群,1\n")
    told = lanmu("community", "import", "groups.csv")
    assert told.exit_code == 2
    assert (
        "groups.csv:1: the first line must name the columns; not known: grup. Known here: name" in told.stderr
    )


@pytest.mark.parametrize("wrap", [list, lambda items: {"items": items}], ids=["list", "items"])
def test_json_is_what_the_api_takes(lanmu, groups, wrap):
    items = [{"name": "早餐群", "size": 5, "tags": ["早餐"]}, {"name": "晚餐群", "size": "5", "colour": 1}]
    groups(json.dumps(wrap(items)), "groups.json")
    code, told = _exported(lanmu, "groups.json")
    assert (code, told["created"]) == (1, 1)
    assert [each["place"] for each in told["faults"]] == ["groups.json[2]: size", "groups.json[2]: colour"]


@pytest.mark.parametrize("text", ["{", '{"items": 3}', "7"])
def test_what_is_no_list_of_groups_is_refused(lanmu, groups, text):
    groups(text, "groups.json")
    told = lanmu("community", "import", "groups.json")
    assert told.exit_code == 2
    assert told.stderr.startswith("groups.json: ")
