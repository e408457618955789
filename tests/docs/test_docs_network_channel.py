"""The network channels of docs/writing-a-plugin.md pass their contracts against the far end that it shows."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lanmu.interfaces.channels import Window
from lanmu.testing.contracts import Behaviour

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _shown() -> Any:
    """The page's code without a file of its own, as one module: two channels, their far end and its tests."""
    module = ModuleType("lanmu_hook")
    sys.modules[module.__name__] = module
    for code in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(code, str(PAGE), "exec"), vars(module))
    return module


HOOK = _shown()
Sent: Any = HOOK.TestHookChannel
LookedUp: Any = HOOK.TestListedHookChannel


class TestHookChannel(Sent):  # type: ignore[misc]
    examples = 50

    @pytest.mark.parametrize("code", [b"false", b"null", b'"0"', b"0.0", b"[]"])
    def test_what_only_looks_like_a_nought_is_not_taken_for_an_acceptance(
        self, channel: Any, code: bytes
    ) -> None:
        seen = HOOK.Observation(wrote=True, status=200, body=b'{"errcode": %s}' % code)
        assert channel.classify(seen).outcome is HOOK.Outcome.AMBIGUOUS


class TestListedHookChannel(LookedUp):  # type: ignore[misc]
    examples = 50

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"null",
            b"[]",
            b'{"errcode": 0}',
            b'{"errcode": 0, "rows": null}',
            b'{"errcode": 0, "rows": [{}]}',
            b'{"errcode": 0, "rows": ["m1"]}',
            b'{"rows": []}',
        ],
    )
    def test_whatever_is_no_list_is_not_taken_for_an_empty_one(
        self, channel: Any, far_end: Any, window: Window, answer: bytes
    ) -> None:
        self._send(channel, far_end, Behaviour.ACCEPT)
        far_end.answer = lambda handler, _told: far_end.say(handler, 200, answer)
        with pytest.raises(HOOK.NotConnected):
            channel.find(self._composed(channel), window)


def test_the_page_tells_what_every_behaviour_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    untold = [each.name for each in Behaviour if f"| `{each.name}` |" not in page]
    assert not untold
