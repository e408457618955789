"""The codes of facts, angles and severities that people see, marked so that they are translated."""

from lanmu.i18n import _

FACT_KINDS = (
    _("placeholder"),
    _("link"),
    _("code"),
    _("mention"),
    _("phone"),
    _("name"),
    _("date"),
    _("day"),
    _("time"),
    _("rule"),
    _("number"),
    _("benefit"),
    _("condition"),
    _("urgency"),
    _("negation"),
)
ANGLES = (
    _("contrast"),
    _("number"),
    _("empathy"),
    _("question"),
    _("knowledge"),
    _("scene"),
    _("story"),
    _("benefit"),
    _("instruction"),
    _("care"),
    _("polish"),
)

SEVERITIES = (_("block"), _("review"), _("hint"))
