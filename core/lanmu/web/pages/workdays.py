"""设置 → 工作日历: this year's and next year's days off and worked weekends, and who says so."""

from itertools import groupby
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template

from lanmu.interfaces.access import requires
from lanmu.schedule.special_days import SpecialDayView
from lanmu.web.people import server

blueprint = Blueprint("workdays", __name__)


@blueprint.get("/settings/workdays")
@requires("schedule.view")
def index() -> str:
    """To look at: the days are read in on the server, a year at a time."""
    today = server().clock.now().astimezone(ZoneInfo(server().config.server.zone)).date()
    days = server().schedule.special_days
    missing = days.missing(today)
    years = []
    for year in (today.year, today.year + 1):
        found = days.between(today.replace(year, 1, 1), today.replace(year + 1, 1, 1))
        years.append({"year": year, "spells": _spells(found), "missing": year in missing})
    return render_template("workdays.html", years=years, columns=server().schedule.by_workdays())


def _spells(found: list[SpecialDayView]) -> list[dict[str, object]]:
    """Days in a row that are alike, as one line."""
    spells = []
    numbered = [(each.day.toordinal() - number, each) for number, each in enumerate(found)]
    for _key, group in groupby(numbered, key=lambda e: (e[0], e[1].works, e[1].name, e[1].source)):
        own = [each for _number, each in group]
        first = own[0]
        spells.append(
            {
                "first": first.day,
                "last": own[-1].day,
                "days": len(own),
                "works": first.works,
                "name": first.name,
                "source": first.source,
            }
        )
    return spells
