"""Writing materials: the form, review and its decision, rewriting, and taking out of use."""

from dataclasses import replace
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.interfaces.rewriting import Brief, Draft, RewriterFailed
from lanmu.library.materials import EditConflict
from lanmu.library.review import Criteria
from lanmu.library.views import MaterialView
from lanmu.web.pages import material_form, push_shown
from lanmu.web.pages.acts import act, by_field, in_words, note, say
from lanmu.web.pages.materials import blueprint, findings_of, in_language, page, revision_asked
from lanmu.web.people import server, signed_in, translate


@blueprint.get("/materials/new")
@requires("content.edit")
def new() -> str:
    return material_form.page_of(None, material_form.blank(), {}, 0)


@blueprint.post("/materials/new")
@requires("content.edit")
def create() -> str | Response | tuple[str, int]:
    who = signed_in()
    content, errors = material_form.read(material_form.blank())
    if not errors:
        try:
            made = server().library.materials.create(content, who.username)
            note("content.edit", made.id)
            return _saved(made)
        except LanmuError as error:
            errors = by_field(error, material_form.FIELDS)
    return material_form.page_of(None, content, errors, 0), 422


@blueprint.get("/materials/<material>/edit")
@requires("content.edit")
def edit(material: str) -> str:
    """The form; `revision` begins with an earlier version's words, which a conflict had put aside, say."""
    found = server().library.materials.get(material)
    begun = revision_asked(server().library.materials.revisions(material), found.revision)
    return material_form.page_of(found, begun.content, {}, found.lock)


@blueprint.post("/materials/<material>/edit")
@requires("content.edit")
def save(material: str) -> str | Response | tuple[str, int]:
    """Store a new version. Where a colleague was faster, both stay and the page says so."""
    found = server().library.materials.get(material)
    content, errors = material_form.read(found.content)
    lock = int(request.form.get("lock") or 0)
    if not errors:
        try:
            made = server().library.materials.edit(
                material, content, lock, signed_in().username, note=request.form.get("note", "").strip()
            )
            note("content.edit", material)
            return _saved(made)
        except EditConflict as conflict:
            return _put_aside(material, conflict)
        except LanmuError as error:
            errors = by_field(error, material_form.FIELDS)
    return material_form.page_of(found, content, errors, lock), 422


@blueprint.post("/materials/<material>/submit")
@requires("content.edit")
def submit(material: str) -> Response:
    def do() -> str:
        server().library.reviews.submit(material)
        return say(_("Sent to review."))

    return act(do, url_for("materials.detail", material=material), permission="content.edit", on=material)


@blueprint.post("/materials/<material>/decision")
@requires("content.approve")
def decide(material: str) -> str | Response | tuple[str, int]:
    """Approve the version that was read, or send it back with a comment."""
    form, who = request.form, signed_in()
    criteria = Criteria(*(form.get(name) == "yes" for name in ("compliance", "relevance", "appeal")))
    revision = int(form.get("revision") or 0)
    reviews = server().library.reviews
    try:
        if form.get("decision") == "approve":
            _want_reason(material, form.get("comment", ""))
            reviews.approve(material, revision, who.username, criteria, form.get("comment", ""))
            told = _("Approved: columns may use it from now on.")
        else:
            reviews.reject(material, revision, who.username, criteria, form.get("comment", ""))
            told = _("Sent back to the author with your comment.")
    except LanmuError as error:
        return page(material, by_field(error, {"comment": "comment", "criteria": "criteria"})), error.status
    note("content.approve", material)
    flash(say(told), "success")
    return redirect(url_for("materials.detail", material=material), 303)


def _want_reason(material: str, comment: str) -> None:
    """A check may be wrong, so a person may overrule it, but must say why. Raises Invalid."""
    found = server().library.materials.get(material)
    blocked = any(each.severity == "block" for each in findings_of(found.content.body, found))
    if blocked and not comment.strip():
        fault = _("The checks found something that must be changed; to approve it all the same, say why.")
        raise Invalid("comment", fault)


@blueprint.post("/materials/<material>/retire")
@requires("content.edit")
def retire(material: str) -> Response:
    def do() -> str:
        server().library.reviews.retire(material, request.form.get("reason", ""))
        return say(_("Retired: no column picks it any more."))

    return act(do, url_for("materials.detail", material=material), permission="content.edit", on=material)


@blueprint.post("/materials/<material>/restore")
@requires("content.edit")
def restore(material: str) -> Response:
    def do() -> str:
        server().library.reviews.restore(material)
        return say(_("Back in the library."))

    return act(do, url_for("materials.detail", material=material), permission="content.edit", on=material)


@blueprint.post("/materials/<material>/rewrite")
@requires("ai.draft")
def rewrite(material: str) -> str | tuple[str, int]:
    """Proposals for the material's text, as a part of its page."""
    found = server().library.materials.get(material)
    form = request.form
    job = "variants" if form.get("job") == "variants" else "polish"
    rewriters = {each.name: each for each in server().rewriters()}
    rewriter = rewriters.get(form.get("rewriter", "")) or next(iter(rewriters.values()), None)
    channel = server().plugins.channels.get(form.get("channel", ""))
    count = form.get("count", "3")
    answer: dict[str, Any] = {"job": job, "items": [], "generator": "", "fault": "", "notes": []}
    if rewriter is None:
        answer["fault"] = say(_("No rewriter runs. Switch the plugin llm_copy on in config.toml."))
    else:
        brief = Brief(
            job=job,  # type: ignore[arg-type]
            text=found.content.body,
            title=found.content.title,
            channel=channel.name if channel else "",
            tone=form.get("tone", "warm"),
            stage=form.get("stage", "active"),
            content_class=found.content.content_class,
            count=min(6, max(1, int(count))) if count.isdecimal() else 3,
            byte_limit=channel.abilities.text_bytes if channel else 4000,
            seed=server().clock.now().microsecond,
        )
        try:
            answer |= _answer(rewriter.propose(brief))
        except RewriterFailed as fault:
            answer["fault"] = translate(str(fault))
        answer["label"] = translate(rewriter.label)
    return render_template(
        "materials/_proposals.html",
        proposals=answer,
        material={"public_id": found.id, "lock": found.lock, "testable": found.approved_number is not None},
    )


@blueprint.post("/materials/<material>/accept")
@requires("content.edit")
def accept(material: str) -> Response:
    """Take a proposal over: as a new draft of the material, or as a version to test against its text."""
    form, who = request.form, signed_in().username
    text, generator = form.get("text", "").replace("\r\n", "\n"), form.get("generator", "")[:60]
    conflicts: list[EditConflict] = []

    def do() -> str:
        found = server().library.materials.get(material)
        if form.get("as") == "arm":
            server().experiments.accept(material, text, who, generator=generator)
            return say(_("Kept as a version to test. It takes part once it has been approved."))
        content, lock = replace(found.content, body=text), int(form.get("lock") or 0)
        label = form.get("label", "")[:200]
        try:
            server().library.materials.edit(material, content, lock, who, note=label, generator=generator)
        except EditConflict as conflict:
            conflicts.append(conflict)
            return ""
        return say(_("Taken over as a draft. Read it once more, then send it to review."))

    done = act(do, url_for("materials.detail", material=material), permission="content.edit", on=material)
    return _put_aside(material, conflicts[0]) if conflicts else done


def _put_aside(material: str, conflict: EditConflict) -> Response:
    """To the version that was kept beside a colleague's, with the names of both."""
    people = push_shown.names()
    for who in ("author", "by"):
        username = str(conflict.params[who])
        conflict.params[who] = people.get(username, username)
    flash(in_words(conflict), "warning")
    return redirect(url_for("materials.detail", material=material, revision=conflict.kept), 303)


def _answer(draft: Draft) -> dict[str, Any]:
    return {
        "generator": draft.generator,
        "by_model": draft.by_model,
        "notes": [translate(notice) for notice in draft.notices],
        "items": [
            {
                "text": each.text,
                "label": translate(each.angle),
                "usable": each.usable,
                "reasons": [translate(problem) for problem in each.problems],
                "facts": each.facts,
                "findings": in_language(each.findings),
                "rationale": translate(each.rationale),
            }
            for each in draft.proposals
        ],
    }


def _saved(material: MaterialView) -> Response:
    flash(say(_("Saved as version %(n)s."), n=material.revision), "success")
    if request.form.get("then") == "submit":
        try:
            server().library.reviews.submit(material.id)
            flash(say(_("Sent to review.")), "success")
        except LanmuError as error:
            flash(in_words(error), "error")
    return redirect(url_for("materials.detail", material=material.id), 303)
