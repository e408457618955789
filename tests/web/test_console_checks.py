"""What the checks find, on a material's page: told in the reader's language, and weighed by who approves."""

from collections.abc import Callable

from tests.web.conftest import Browser

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
