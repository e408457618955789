"""What the checks find, on a material's page: told in the reader's language, and weighed by who approves."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from tests.web.conftest import Browser

from lanmu.interfaces.rewriting import Finding
from lanmu.library.content import Content
from lanmu.server import Server


def _in_review(server: Server, body: str) -> str:
    made = server.library.materials.create(
        Content(
            title="周末特惠", body=body, content_class="conversion", kind="product_review", zone="knowledge",
            genre="guide", topic="特惠", form="text", month="202611", owner="writer",
        ),
        "writer",
    )  # fmt: skip
    server.library.reviews.submit(made.id)
    return made.id


def test_a_finding_tells_its_reason_in_the_readers_language_and_no_code(
    sign_in: Callable[[str], Browser], server: Server
):
    reader = sign_in("reader")
    page = reader.get(f"/materials/{_in_review(server, '本店全国第一，最好的奶粉。')}")
    assert "绝对化用语" in page.text
    assert "Absolute wording" not in page.text
    assert ">absolute<" not in page.text
    assert "Absolute wording" in reader.get(page.request.path + "?lang=en").text


def test_who_approves_against_a_check_must_say_why(sign_in: Callable[[str], Browser], server: Server):
    reader = sign_in("reader")
    material = _in_review(server, "本店最好的奶粉，治愈失眠。")
    all_hold = {"compliance": "yes", "relevance": "yes", "appeal": "yes"}
    form = {"revision": "1", "decision": "approve", **all_hold}
    for comment in ("", "  "):
        refused = reader.post(f"/materials/{material}/decision", {**form, "comment": comment})
        assert refused.status_code == 422
        assert 'id="fault-comment"' in refused.text
        assert "自动检查有“必须修改”的问题；仍要通过，请写明理由。" in refused.text
        assert server.library.materials.get(material).state == "in_review"
    reader.post(f"/materials/{material}/decision", {**form, "comment": "法务已确认"})
    found = server.library.materials.get(material)
    assert (found.state, found.reviews[0].comment) == ("approved", "法务已确认")


def test_who_approves_what_no_check_forbids_need_not_say_anything(
    sign_in: Callable[[str], Browser], server: Server
):
    material = _in_review(server, "周末一起去公园走走。")
    form = {"revision": "1", "decision": "approve", "compliance": "yes", "relevance": "yes", "appeal": "yes"}
    sign_in("reader").post(f"/materials/{material}/decision", form)
    assert server.library.materials.get(material).state == "approved"


def test_a_check_that_fails_is_itself_a_finding_and_the_others_still_look(
    sign_in: Callable[[str], Browser], server: Server, monkeypatch: pytest.MonkeyPatch
):
    class Broken:
        name, title = "broken", "Broken check"

        def check(self, text: str, context: object) -> list[Finding]:
            raise RuntimeError(text)

    others = server.checks()
    monkeypatch.setattr(server, "checks", lambda: [Broken(), *others])
    page = sign_in("reader").get(f"/materials/{_in_review(server, '本店全国第一，最好的奶粉。')}")
    assert page.status_code == 200
    assert "这项检查没能完成" in page.text
    assert "绝对化用语" in page.text


WRONG: Any = "2"


@pytest.mark.parametrize(
    "answer",
    [asyncio.CancelledError(), [None], ["no"], 5, [Finding(0, WRONG, "a", "b", "review", "c")]],
    ids=["cancelled", "none", "text", "number", "place"],
)
def test_a_check_that_answers_nonsense_is_told_as_one_not_made(
    sign_in: Callable[[str], Browser], server: Server, monkeypatch: pytest.MonkeyPatch, answer: object
):
    def check(_text: str, _context: object) -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    checks = [SimpleNamespace(check=check), *server.checks()]
    monkeypatch.setattr(server, "checks", lambda: checks)
    reader, material = sign_in("reader"), _in_review(server, "最好的奶粉。")
    with ThreadPoolExecutor(1) as worker:  # as the server asks: in the main thread it would be Ctrl-C
        page = worker.submit(reader.get, f"/materials/{material}").result()
    assert page.status_code == 200
    assert "这项检查没能完成" in page.text
    assert "绝对化用语" in page.text
