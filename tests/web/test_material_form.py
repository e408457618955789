"""The form of a material: what was chosen and written stays until it is stored."""

import io
import re

from tests.web.conftest import Browser
from tests.web.test_console_pages import MATERIAL, PNG

from lanmu.server import Server

OTHER = PNG[:-12] + b"\x00\x00\x00\x00IEND\xaeB`\x82" + b"another"


def _kept(html: str) -> list[str]:
    return re.findall(r'name="keep" value="([^"]+)"', html)


def test_an_image_stays_when_the_form_comes_back_for_another_fault(admin: Browser, server: Server):
    wrong = {**MATERIAL, "title": "", "files": (io.BytesIO(PNG), "a.png")}
    back = admin.post("/materials/new", wrong)
    assert back.status_code == 422
    kept = _kept(back.text)
    assert len(kept) == 1
    admin.post("/materials/new", {**MATERIAL, "keep": kept})
    found = server.library.materials.get(server.library.search.find().items[0].id)
    assert [item.asset.id for item in found.attachments] == kept


def test_an_image_added_to_a_material_stays_when_the_form_comes_back(admin: Browser, server: Server):
    admin.post("/materials/new", {**MATERIAL, "files": (io.BytesIO(PNG), "a.png")})
    row = server.library.search.find().items[0]
    first = [item.asset.id for item in server.library.materials.get(row.id).attachments]
    lock = str(server.library.materials.get(row.id).lock)
    again = {**MATERIAL, "lock": lock, "keep": first}
    back = admin.post(
        f"/materials/{row.id}/edit", {**again, "title": "", "files": (io.BytesIO(OTHER), "b.png")}
    )
    assert (back.status_code, len(_kept(back.text))) == (422, 2)
    admin.post(f"/materials/{row.id}/edit", {**again, "keep": _kept(back.text)})
    found = server.library.materials.get(row.id)
    assert [item.asset.id for item in found.attachments] == _kept(back.text)


def test_an_image_that_no_form_brought_is_not_taken(admin: Browser, server: Server):
    admin.post("/materials/new", {**MATERIAL, "keep": ["ast_nonsense"]})
    found = server.library.materials.get(server.library.search.find().items[0].id)
    assert found.attachments == ()
