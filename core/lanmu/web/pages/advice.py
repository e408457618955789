"""What each reason for which a batch is on hold asks of a person, by the code that the server keeps."""

from lanmu.i18n import _
from lanmu.web.people import translate

_ADVICE = {
    "late": _("Say whether it shall go out although it is late, or cancel it."),
    "not_approved": _("Look at text and time, change them where needed, and have the push approved anew."),
    "content_out": _("Lengthen the material's validity or choose another text, then go on; or cancel."),
    "no_content": _("Choose another text, then go on; or cancel."),
    "missing_value": _(
        "The text has a variable without a value: give it to this community or member, then go on."
    ),
    "content": _("The channel does not take this text or file: change it, and have the push approved anew."),
    "config": _(
        "Put account, key or permission right at the platform or in config.toml, then go on. After ten "
        "minutes the first batch that comes due tries that way again."
    ),
    "settings": _("Put the settings right in config.toml, restart Lanmu, then go on; or cancel."),
    "channel_missing": _("Look on the plugins page why the channel does not run, set it right, then go on."),
    "channel_error": _("The channel's plugin made a mistake: look into the log, then go on."),
    "error": _("The channel's plugin made a mistake: look into the log, then go on."),
    "poison": _("This text or file makes the sending process end: look into the log before you go on."),
    "network": _("The channel could not be reached: look at network and address, then go on."),
    "objection": _("A plugin objects: settle what it names, then go on; or cancel."),
}
_BY_ITS_CODE = _(
    "The platform refused it: see what the code means, set text or settings right, then go on; or cancel."
)
_ELSE = _("Put the reason right, then go on; or cancel it.")


def advice(code: str) -> str:
    """What a person can do about what is on hold, in the reader's language."""
    if code.lstrip("-").isdigit():
        return translate(_BY_ITS_CODE)
    return translate(_ADVICE.get(code, _ELSE))
