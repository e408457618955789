"""Every address of the server names who may open it, and the API's description is open to all."""

from flask import Flask
from tests.web.conftest import Browser

from lanmu.interfaces.access import PUBLIC, SIGNED
from lanmu.staff.roles import EVERY_PERMISSION
from lanmu.web.guard import permission_of


def test_every_address_names_a_permission_that_exists(app: Flask):
    known = {PUBLIC, SIGNED, *EVERY_PERMISSION}
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            named = permission_of(app, rule.endpoint, method)
            assert named in known, f"{method} {rule.rule}: {named}"


def test_the_description_of_the_api_is_open_to_everybody(app: Flask):
    answer = app.test_client().get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json is not None
    assert answer.json["openapi"] == "3.1.0"
    assert "/api/v1/materials" in answer.json["paths"]


def test_the_page_of_the_api_leads_to_its_description(admin: Browser):
    assert 'href="/api/openapi.json"' in admin.get("/api/docs").text
