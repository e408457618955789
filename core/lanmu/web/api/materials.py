"""素材 over the API: list and search, read, write drafts, hand in for review. Approving is left to people."""

from dataclasses import replace
from typing import Any

from flask import Response, jsonify
from flask.views import MethodView
from marshmallow import Schema, fields, validate

from lanmu.i18n import _
from lanmu.library.content import Attachment, Content, Licence
from lanmu.library.search import Filters
from lanmu.library.views import MaterialRow, MaterialView
from lanmu.web.api.idempotency import idempotent
from lanmu.web.api.routes import IDEMPOTENCY_HEADER, PageArguments, allowed, room
from lanmu.web.people import server, signed_in

blueprint = room(_("Materials"), _("The material library."))


class MaterialListArguments(PageArguments):
    """Filters of the list; what is left out takes everything."""

    q = fields.String(
        load_default="", validate=validate.Length(max=100), metadata={"description": _("Words to find.")}
    )
    content_class = fields.String(load_default="")
    zone = fields.String(load_default="")
    kind = fields.String(load_default="")
    genre = fields.String(load_default="")
    form = fields.String(load_default="")
    state = fields.String(
        load_default="", validate=validate.OneOf(["", "draft", "in_review", "approved", "retired"])
    )
    tag = fields.List(fields.String(), load_default=list)
    owner = fields.String(load_default="")
    month = fields.String(load_default="")


class MaterialRowSchema(Schema):
    """A material in a list."""

    id = fields.String()
    name = fields.String()
    title = fields.String()
    excerpt = fields.String()
    content_class = fields.String()
    kind = fields.String()
    zone = fields.String()
    genre = fields.String()
    topic = fields.String()
    form = fields.String()
    month = fields.String()
    origin = fields.String()
    owner = fields.String()
    state = fields.String()
    weight = fields.Integer()
    tags = fields.List(fields.String())
    valid_from = fields.AwareDateTime(allow_none=True)
    valid_until = fields.AwareDateTime(allow_none=True)
    updated_at = fields.AwareDateTime()


class MaterialPageSchema(Schema):
    """A page of materials; `next_cursor` is empty on the last one."""

    items = fields.List(fields.Nested(MaterialRowSchema))
    next_cursor = fields.String(metadata={"description": _("Empty on the last page.")})
    total = fields.Integer()


class LicenceSchema(Schema):
    """Leave to use somebody else's text."""

    source = fields.String(required=True)
    licensor = fields.String(required=True)
    until = fields.Date(load_default=None, allow_none=True)


class MaterialWriteSchema(Schema):
    """What may be written of a material."""

    title = fields.String(required=True)
    body = fields.String(required=True)
    content_class = fields.String(required=True)
    kind = fields.String(required=True)
    zone = fields.String(required=True)
    genre = fields.String(required=True)
    topic = fields.String(required=True)
    form = fields.String(required=True)
    month = fields.String(required=True, metadata={"description": _("YYYYMM, such as 202611.")})
    owner = fields.String(required=True)
    origin = fields.String(load_default="original")
    tags = fields.List(fields.String(), load_default=list)
    valid_from = fields.AwareDateTime(load_default=None, allow_none=True)
    valid_until = fields.AwareDateTime(load_default=None, allow_none=True)
    licence = fields.Nested(LicenceSchema, load_default=None, allow_none=True)
    consent = fields.String(load_default="")
    attachments = fields.List(
        fields.String(), load_default=list, metadata={"description": _("Asset ids, in order.")}
    )


class MaterialEditSchema(MaterialWriteSchema):
    """An edit names the `lock` that it was made from, so that nobody's change is written over unseen."""

    lock = fields.Integer(
        required=True,
        strict=True,
        metadata={
            "description": _(
                "The lock of the text that was edited; if it has changed since, the answer is 409."
            )
        },
    )


class MaterialSchema(MaterialRowSchema):
    """A material whole."""

    body = fields.String()
    consent = fields.String()
    licence = fields.Nested(LicenceSchema, allow_none=True)
    attachments = fields.List(fields.String())
    revision = fields.Integer()
    approved_revision = fields.Integer(allow_none=True)
    used = fields.Integer()
    lock = fields.Integer()


@blueprint.route("/materials")
class MaterialList(MethodView):
    """All materials."""

    @allowed(blueprint, "content.view", _("List and search materials"))
    @blueprint.arguments(MaterialListArguments(), location="query")
    @blueprint.response(200, MaterialPageSchema)
    def get(self, given: dict[str, Any]) -> Response:
        one: dict[str, Any] = {axis: (given[axis],) for axis in _AXES if given[axis]}
        filters = Filters(text=given["q"], tags=tuple(given["tag"]), **one)
        page = server().library.search.find(filters, cursor=given["cursor"], limit=given["limit"])
        # Written as the schema would write it, which takes as long again as the search does.
        return jsonify(
            {
                "items": [row_document(row) for row in page.items],
                "next_cursor": page.next_cursor,
                "total": page.total,
            }
        )

    @allowed(blueprint, "content.edit", _("Add a draft"))
    @blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
    @idempotent
    @blueprint.arguments(MaterialWriteSchema)
    @blueprint.response(201, MaterialSchema)
    def post(self, given: dict[str, Any]) -> dict[str, Any]:
        made = server().library.materials.create(_content(given), signed_in().name)
        server().audit.record(signed_in().username, "material.create", made.id, permission="content.edit")
        return _whole(made)


@blueprint.route("/materials/<material>")
class OneMaterial(MethodView):
    """One material."""

    @allowed(blueprint, "content.view", _("Read a material"))
    @blueprint.response(200, MaterialSchema)
    def get(self, material: str) -> dict[str, Any]:
        return _whole(server().library.materials.get(material))

    @allowed(blueprint, "content.edit", _("Write a new revision"))
    @blueprint.arguments(MaterialEditSchema)
    @blueprint.response(200, MaterialSchema)
    def put(self, given: dict[str, Any], material: str) -> dict[str, Any]:
        lock = given.pop("lock")
        edited = server().library.materials.edit(material, _content(given), lock, signed_in().name)
        server().audit.record(signed_in().username, "material.edit", material, permission="content.edit")
        return _whole(edited)


@blueprint.route("/materials/<material>/submit", methods=["POST"])
@allowed(blueprint, "content.edit", _("Hand a draft in for review"))
@blueprint.response(200, MaterialSchema)
def submit(material: str) -> dict[str, Any]:
    submitted = server().library.reviews.submit(material)
    server().audit.record(signed_in().username, "material.submit", material, permission="content.edit")
    return _whole(submitted)


_AXES = ("content_class", "zone", "kind", "genre", "form", "state", "owner", "month")
_ROW_FIELDS = tuple(name for name in MaterialRowSchema().fields)


def row_document(row: MaterialRow) -> dict[str, Any]:
    """A row as JSON holds it: what `MaterialRowSchema` makes of it."""
    document = {name: getattr(row, name) for name in _ROW_FIELDS}
    for name in ("valid_from", "valid_until", "updated_at"):
        document[name] = document[name] and document[name].isoformat()
    return document


def _whole(material: MaterialView) -> dict[str, Any]:
    content = material.content
    fields_ = {name: getattr(content, name) for name in content.__dataclass_fields__ if name != "attachments"}
    return {
        **fields_,
        "id": material.id,
        "name": material.name,
        "excerpt": content.body[:100],
        "state": material.state,
        "weight": material.weight,
        "updated_at": material.updated_at,
        "attachments": [attachment.asset.id for attachment in material.attachments],
        "revision": material.revision,
        "approved_revision": material.approved_number,
        "used": material.used,
        "lock": material.lock,
    }


def _content(given: dict[str, Any]) -> Content:
    licence = given.pop("licence")
    attachments = tuple(Attachment(asset) for asset in given.pop("attachments"))
    content = Content(**{**given, "tags": tuple(given["tags"])}, attachments=attachments)
    return replace(content, licence=Licence(**licence)) if licence else content
