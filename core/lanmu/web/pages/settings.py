"""设置: the plugins and how they fare."""

from typing import Any

from flask import Blueprint, render_template

from lanmu.i18n import told
from lanmu.interfaces.access import requires
from lanmu.plugins import PluginStatus
from lanmu.web.pages.choices import channel_title
from lanmu.web.people import server, translate

blueprint = Blueprint("settings", __name__)


@blueprint.get("/settings/plugins")
@requires("plugin.view")
def plugins() -> str:
    hasty = server().hasty_lookups()
    return render_template(
        "plugins.html",
        plugins=[_shown(status) for status in server().plugins.statuses()],
        hasty=translate(told(hasty)) if hasty else "",
    )


def _shown(status: PluginStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "distribution": status.distribution,
        "version": status.version,
        "state": status.state,
        "reason": translate(status.reason),
        "channels": [(name, channel_title(name)) for name in status.channels],
        "hooks": status.hooks,
    }
