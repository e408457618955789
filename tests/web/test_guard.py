"""The guard: every route names a permission, and each role opens exactly what the matrix gives it."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from tests.web.conftest import PASSWORD, Browser

from lanmu.interfaces.access import PUBLIC, SIGNED
from lanmu.server import Server
from lanmu.staff.roles import EVERY_PERMISSION, ROLES, SCOPES
from lanmu.web import guard

KNOWN = {*EVERY_PERMISSION, PUBLIC, SIGNED}


def _unnamed(app: Flask) -> list[str]:
    """The routes whose permission is none that the matrix knows."""
    return [
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if guard.permission_of(app, rule.endpoint, method) not in KNOWN
    ]


def _path(rule: str) -> str:
    return re.sub(r"<[^>]+>", "x", re.sub(r"<int:\w+>", "1", rule))


def _pages(app: Flask) -> list[tuple[str, str]]:
    """(path, permission) of everything that can be opened with GET and is not open to all."""
    found = []
    for rule in app.url_map.iter_rules():
        permission = guard.permission_of(app, rule.endpoint, "GET")
        if "GET" in (rule.methods or ()) and permission not in (PUBLIC, SIGNED):
            found.append((_path(rule.rule), str(permission)))
    return found


def test_every_route_of_core_and_plugins_names_a_permission(app: Flask):
    rules = [rule.rule for rule in app.url_map.iter_rules()]
    assert len(rules) > 60
    assert any(rule.startswith("/p/") for rule in rules)
    assert _unnamed(app) == []


def test_a_route_without_a_permission_is_found_and_opens_to_nobody(
    app: Flask, sign_in: Callable[[str], Browser]
):
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert _unnamed(app) == ["GET /forgotten"]
    answer = sign_in("admin").get("/forgotten")
    assert (answer.status_code, "secret" in answer.text) == (403, False)


def test_a_permission_that_no_matrix_knows_opens_to_nobody(app: Flask, sign_in: Callable[[str], Browser]):
    from lanmu.interfaces.access import requires

    app.add_url_rule("/misspelt", "misspelt", requires("content.veiw")(lambda: "secret"))
    assert _unnamed(app) == ["GET /misspelt"]
    assert sign_in("admin").get("/misspelt").status_code == 403


@pytest.mark.parametrize("role", sorted(ROLES))
def test_each_role_opens_what_the_matrix_gives_it(app: Flask, server: Server, role: str):
    server.staff.create(f"one-{role}", role, PASSWORD, [role])
    client = app.test_client()
    client.post("/login", data={"username": f"one-{role}", "password": PASSWORD})
    seen = set()
    for path, permission in _pages(app):
        answer = client.get(path, headers={"Accept": "text/html"})
        refused = answer.status_code == 403
        assert refused == (permission not in ROLES[role]), (path, permission, answer.status_code)
        assert answer.status_code in (200, 302, 304, 403, 404, 422), (path, answer.status_code)
        seen.add(permission)
    assert len(seen) >= 8


def test_roles_add_up_and_an_unknown_role_gives_nothing(server: Server):
    both = server.staff.create("both", "Both", PASSWORD, ["editor", "reviewer"])
    assert both.permissions == ROLES["editor"] | ROLES["reviewer"]
    from lanmu.staff.roles import permissions_of

    assert permissions_of(["emperor"]) == frozenset()


def test_the_matrix_holds_what_security_asks_of_it():
    assert set().union(*ROLES.values()) == set(EVERY_PERMISSION)
    verbs = {permission.partition(".")[2] for permission in ROLES["auditor"]}
    assert verbs == {"view"}
    assert "content.approve" not in ROLES["editor"] | ROLES["operator"]
    scoped = frozenset().union(*SCOPES.values())
    for kept in (
        "content.approve",
        "settings.edit",
        "user.manage",
        "token.manage",
        "audit.view",
    ):
        assert kept not in scoped
    forcing = {scope for scope, given in SCOPES.items() if "push.force" in given}
    assert forcing == {"push:force"}, "nobody who may stop a push may thereby send one again"
    assert "push.cancel" not in SCOPES["push:force"]


def test_a_refusal_stands_in_the_audit_log(sign_in: Callable[[str], Browser], server: Server):
    assert sign_in("writer").get("/settings/audit").status_code == 403
    line = server.audit.latest()[0]
    assert (line.actor, line.object, line.permission, line.allowed) == (
        "writer",
        "/settings/audit",
        "audit.view",
        False,
    )


def test_a_refusal_with_a_path_of_any_length_is_written_too(
    sign_in: Callable[[str], Browser], server: Server
):
    long = "/materials/" + "x" * 3000 + "/edit"
    assert sign_in("reader").get(long).status_code == 403
    assert server.audit.latest()[0].object == long[:120]


def test_a_stranger_is_told_how_to_come_in(app: Flask):
    client = app.test_client()
    page = client.get("/materials", headers={"Accept": "text/html"})
    assert (page.status_code, page.location) == (302, "/login?next=/materials")
    part = client.get("/materials", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"], part.data) == (204, "/login", b"")
    program = client.get("/api/v1/materials")
    assert (program.status_code, program.mimetype) == (401, "application/problem+json")
    assert program.headers["WWW-Authenticate"] == "Bearer"
    assert program.get_json()["status"] == 401


def test_nothing_lies_at_an_unknown_address_for_anybody(app: Flask, admin: Browser):
    for client in (app.test_client(), admin.client):
        assert client.get("/wp-login.php").status_code == 404
        assert client.get("/api/v1/nothing").mimetype == "application/problem+json"


def _first_day(app: Flask, server: Server) -> FlaskClient:
    server.staff.create("new", "New", "one-time-password", ["admin"], one_time=True)
    client = app.test_client()
    client.post("/login", data={"username": "new", "password": "one-time-password"})
    return client


def test_a_one_time_password_opens_the_password_page_and_nothing_else(app: Flask, server: Server):
    client = _first_day(app, server)
    for path, then in (
        ("/", ""),
        ("/materials", "?next=/materials"),
        ("/settings/audit", "?next=/settings/audit"),
    ):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.location) == (302, f"/password{then}"), path
    part = client.get("/materials", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (204, "/password")
    assert client.get("/api/v1/materials").status_code == 403
    page = Browser(client)
    assert page.get("/password").status_code == 200
    form = {
        "old_password": "one-time-password",
        "new_password": "a much better one",
        "again": "a much better one",
    }
    assert page.client.post("/password", data={**form, "csrf_token": page.token}).location == "/"
    assert client.get("/materials", headers={"Accept": "text/html"}).status_code == 200
    page.get("/")
    page.post("/logout")
    assert client.get("/materials").location == "/login?next=/materials"
    client.post("/login", data={"username": "new", "password": "a much better one"})
    assert client.get("/materials", headers={"Accept": "text/html"}).status_code == 200


def test_a_chosen_password_must_be_good_typed_twice_and_new(app: Flask, server: Server):
    page = Browser(_first_day(app, server))
    page.get("/password")
    good = {
        "old_password": "one-time-password",
        "new_password": "a much better one",
        "again": "a much better one",
    }
    for change, status in (
        ({"again": "another one entirely"}, 422),
        ({"old_password": "wrong"}, 403),
        ({"new_password": "short", "again": "short"}, 422),
        ({"new_password": "aaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaa"}, 422),
        ({"new_password": "one-time-password", "again": "one-time-password"}, 422),
    ):
        answer = page.client.post("/password", data={**good, **change, "csrf_token": page.token})
        assert (answer.status_code, 'class="fault"' in answer.text) == (status, True), change
