"""文案版本: wordings of a material that are tested against each other, on the material's page."""

from flask import request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.library.review import Criteria
from lanmu.web.pages.acts import act, say
from lanmu.web.pages.materials import blueprint
from lanmu.web.people import server, signed_in


@blueprint.post("/materials/<material>/versions/<int:number>")
@requires("content.approve")
def approve_version(material: str, number: int) -> Response:
    """Let one wording through; the same three criteria hold for it as for any text."""

    def do() -> str:
        ticked = (bool(request.form.get(name)) for name in ("compliance", "relevance", "appeal"))
        server().library.variants.approve(material, number, signed_in().username, Criteria(*ticked))
        return say(_("Approved: it takes part in the test."))

    return act(do, _back(material), permission="content.approve", on=f"{material}/{number}")


@blueprint.post("/materials/<material>/test")
@requires("schedule.plan")
def switch_test(material: str) -> Response:
    """Start the test, or stop it."""

    def do() -> str:
        if request.form.get("running"):
            server().experiments.start(material)
            return say(_("The test runs: each community gets one of the versions from now on."))
        server().experiments.stop(material)
        return say(_("The test is over: the material's own text goes out again."))

    return act(do, _back(material), permission="schedule.plan", on=material)


def _back(material: str) -> str:
    return url_for("materials.detail", material=material) + "#versions"
