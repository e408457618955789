"""Every text that the library may show has its Chinese."""

import ast
from pathlib import Path

import lanmu.library
from lanmu.i18n import Catalog


def test_every_message_of_the_library_is_translated():
    catalog = Catalog()
    said = set()
    for path in Path(lanmu.library.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                said.add(ast.literal_eval(node.args[0]))
    assert len(said) > 100
    assert [text for text in sorted(said) if catalog.gettext("zh-CN", text) == text] == []
