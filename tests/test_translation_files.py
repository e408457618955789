"""The reader of .po files reads what the translators' own tool reads."""

from io import BytesIO

import pytest
from babel.messages.pofile import read_po as read_by_babel

from lanmu.i18n import po_files, read_po

PACKAGES = ("lanmu", "lanmu_wecom", "lanmu_points", "lanmu_llm_copy", "lanmu_personal_wechat_export")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_shipped_file_is_read_as_babel_reads_it(package: str):
    files = po_files(package, "zh-CN")
    assert files
    for path in files:
        catalog = read_by_babel(BytesIO(path.read_bytes()))
        wanted = {message.id: message.string for message in catalog if message.id and message.string}
        assert read_po(path.read_text(encoding="utf-8")) == wanted, path


def test_lines_escapes_and_what_does_not_count():
    document = r"""
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\n"

# A remark.
#: somewhere.py:3
msgid "one \"two\"\n"
"three \\n"
msgstr ""
"一“二”\n"
"三 \\n"

#, fuzzy
msgid "guessed"
msgstr "猜的"

msgid "not yet"
msgstr ""

#~ msgid "gone"
#~ msgstr "没了"

msgid "%(n)s file"
msgid_plural "%(n)s files"
msgstr[0] "%(n)s 个文件"
"""
    assert read_po(document) == {'one "two"\nthree \\n': "一“二”\n三 \\n"}
    assert read_po(document.replace("\n", "\r\n")) == read_po(document)
