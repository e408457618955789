"""栏目: list, one column with what is planned for it, and its form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import LanmuError
from lanmu.schedule.columns import ColumnDraft, ColumnView, PoolDraft, SlotDraft, Targets
from lanmu.schedule.occurrences import OccurrenceFilter, OccurrenceView
from lanmu.schedule.recurrence import read_rule
from lanmu.web.pages import choices, crowds
from lanmu.web.pages.acts import Errors, act, by_field, note, say, sentences, whole
from lanmu.web.pages.audit_words import of_column
from lanmu.web.pages.column_notes import (
    Plan,
    Stock,
    clock_changes,
    has_late_days,
    plan_anew,
    plan_of,
    pool_shown,
    quiet_times,
)
from lanmu.web.pages.column_presets import new_draft, presets_shown, reach_shown
from lanmu.web.pages.happenings import is_full, state_of, url_of, why_lines
from lanmu.web.pages.standing import Standing, standings_of
from lanmu.web.people import server

blueprint = Blueprint("columns", __name__)

HORIZON = timedelta(days=14)
_SHOWN = 40
_SLOTS_MOST = 50
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELDS = {
    name: name
    for name in (
        "name",
        "channel",
        "classes",
        "cooldown_days",
        "approval",
        "late_policy",
        "priority",
        "slots",
        "zone",
    )
}


@blueprint.get("/columns")
@requires("schedule.view")
def index() -> str:
    now = server().clock.now()
    stock = Stock()
    coming: dict[str, list[OccurrenceView]] = {}
    for each in server().schedule.occurrences.between(now, now + HORIZON):
        coming.setdefault(each.column_id, []).append(each)
    columns = server().schedule.columns.everything()
    reach = server().schedule.reach_of_each()
    shown = []
    for column in columns:
        own = coming.get(column.id, [])
        reached, _unreached = reach.get(column.id, ([], []))
        shown.append(
            {
                **_shown(column),
                "communities": len(reached),
                "next_at": next((each.due_at for each in own if each.state in ("planned", "approved")), None),
                "pool_size": sum(stock.fitting(column.draft.pool, column.draft.classes).values()),
                "empty": sum(each.state == "empty" and not is_full(each) for each in own),
                "full": sum(is_full(each) for each in own),
            }
        )
    shown.sort(key=lambda each: (not each["active"], each["ended"]))
    return render_template(
        "columns/index.html", columns=shown, channels=choices.channels(), **presets_shown()
    )


@blueprint.get("/columns/<column>")
@requires("schedule.view")
def detail(column: str) -> str:
    """A column; `day` shows what is planned from that day on."""
    found = server().schedule.columns.get(column)
    now = server().clock.now()
    since = max(_from_day(found.draft.zone) or now, now - timedelta(days=60))
    wanted = OccurrenceFilter(column=column)
    rows = server().schedule.occurrences.between(since, now + 3 * HORIZON, wanted, _SHOWN + 1)
    reached, unreached = server().schedule.reach(column)
    fed = set(reached)
    more = rows[_SHOWN].local_time[:10] if len(rows) > _SHOWN else ""
    pool = Stock().fitting(found.draft.pool, found.draft.classes)
    standings = standings_of(rows, now)
    return render_template(
        "columns/detail.html",
        column=_shown(found),
        communities=[each for each in server().audience.communities.find() if each.name in fed],
        unreached=unreached,
        occurrences=[_row(each, standings, now) for each in rows[:_SHOWN]],
        next_url=url_for("columns.detail", column=column, day=more) if more else "",
        first_url=url_for("columns.detail", column=column) if request.args.get("day") else "",
        waiting=[
            f"{each.id}:{each.revision_id}"
            for each in rows[:_SHOWN]
            if each.needs_approval and now < each.due_at
        ],
        waiting_in_all=server().schedule.occurrences.waiting(now + 3 * HORIZON, column),
        late_days=has_late_days(found),
        quiet_times=quiet_times(found.draft, found.created_at),
        **pool_shown(found.draft.pool, pool),
    )


@blueprint.get("/columns/new")
@requires("schedule.plan")
def new() -> str:
    """The form for a column; `preset` names what it begins with."""
    return _form(None, new_draft(request.args.get("preset", "")), {}, 0)


@blueprint.post("/columns/new")
@requires("schedule.plan")
def create() -> str | Response | tuple[str, int]:
    draft = _read()
    try:
        made = server().schedule.columns.create(_checked(draft))
    except LanmuError as error:
        return _form(None, draft, by_field(error, _FIELDS), 0), error.status
    note("schedule.plan", made.id)
    return _planned(made, {})


@blueprint.get("/columns/<column>/edit")
@requires("schedule.plan")
def edit(column: str) -> str:
    found = server().schedule.columns.get(column)
    return _form(found, found.draft, {}, found.lock)


@blueprint.post("/columns/<column>/edit")
@requires("schedule.plan")
def save(column: str) -> str | Response | tuple[str, int]:
    found = server().schedule.columns.get(column)
    draft = _read(found.draft)
    lock = int(request.form.get("lock") or 0)
    before = plan_of(column)
    try:
        saved = server().schedule.columns.edit(column, _checked(draft), lock)
    except LanmuError as error:
        return _form(found, draft, by_field(error, _FIELDS), lock), error.status
    note("schedule.plan", column, of_column(found.draft, saved.draft))
    return _planned(saved, before)


def _planned(column: ColumnView, before: Plan) -> Response:
    flash(sentences(say(_("Saved.")), plan_anew(column.id, column.draft.name, before)), "success")
    warnings = [*clock_changes(column), *quiet_times(column.draft, column.created_at)]
    if crowded := crowds.foreseen(column.draft, column.id):
        way = _("The calendar says which days, and who competes.")
        warnings.append(f"{crowded.summary}\n{say(way)}")
    for told in warnings:
        flash(told, "warning")
    return redirect(url_for("columns.detail", column=column.id), 303)


@blueprint.post("/columns/<column>/plan")
@requires("schedule.plan")
def replan(column: str) -> Response:
    back = url_for("columns.detail", column=column)
    found = server().schedule.columns.get(column)

    def do() -> str:
        return plan_anew(column, found.draft.name, plan_of(column))

    return act(do, back, permission="schedule.plan", on=column)


@blueprint.get("/columns/pool")
@requires("schedule.view")
def pool() -> str:
    """How much the form's pool holds, while it is being filled in."""
    draft = PoolDraft(
        tuple(request.args.getlist("pool_tags")),
        tuple(request.args.getlist("pool_kinds")),
        tuple(request.args.getlist("pool_zones")),
    )
    counted = Stock().fitting(draft, request.args.getlist("classes"))
    return render_template("columns/_pool.html", **pool_shown(draft, counted))


@blueprint.get("/columns/foresight")
@requires("schedule.plan")
def foresight() -> str:
    """What the form would come to, while it is being filled in; `of` is the column's id, if it has one."""
    column = request.args.get("of", "")
    found = server().schedule.columns.get(column) if column else None
    draft = _read(found.draft if found else None, request.args)
    return render_template("columns/_foresight.html", is_answer=True, **_foreseen(found, draft))


def _foreseen(column: ColumnView | None, draft: ColumnDraft) -> dict[str, Any]:
    return {
        **reach_shown(draft),
        "quiet_times": quiet_times(draft, column.created_at if column else None),
        "crowded": crowds.foreseen(draft, column.id if column else ""),
    }


def _from_day(zone: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(request.args.get("day", "")), time(), ZoneInfo(zone))
    except ValueError:
        return None


def _shown(column: ColumnView) -> dict[str, Any]:
    draft = column.draft
    names = ("name", "goal", "owner", "classes", "channel", "active", "approval", "late_policy", "zone")
    values = {name: getattr(draft, name) for name in (*names, "priority", "cooldown_days", "pool", "targets")}
    return {
        **values,
        "public_id": column.id,
        "slots": _slots_shown(draft.slots),
        "ended": column.has_ended(server().clock.now()),
    }


def _slots_shown(slots: Sequence[SlotDraft]) -> list[dict[str, Any]]:
    """The slots with the days of one time together, as people would say it."""
    by_time: dict[str, list[str]] = {}
    for slot in slots:
        if not slot.rrule:
            by_time.setdefault(slot.time, []).extend(_split(slot.weekdays))
    shown: list[dict[str, Any]] = [
        {"days": sorted(dict.fromkeys(days), key=_day_number), "time": at, "rrule": "", "once": None}
        for at, days in sorted(by_time.items())
    ]
    return shown + [_by_rule(slot.rrule) for slot in slots if slot.rrule]


def _by_rule(text: str) -> dict[str, Any]:
    """A slot by rule; one that comes a single time is shown as that time."""
    rule, start = read_rule(text)
    once = start if start and re.search(r"\bCOUNT=1(;|$)", rule) else None
    return {"days": [], "time": "", "rrule": text, "once": once}


def _day_number(day: str) -> int:
    return _WEEK.index(day) if day in _WEEK else -1


def _row(occurrence: OccurrenceView, standings: Mapping[str, Standing], now: datetime) -> dict[str, Any]:
    state, group = state_of(occurrence, standings)
    ahead = occurrence.due_at > now
    open_ = occurrence.state in ("planned", "empty", "approved", "missed")
    return {
        "public_id": occurrence.id,
        "at": occurrence.due_at,
        "community": occurrence.community,
        "content_class": occurrence.content_class,
        "title": occurrence.material,
        "full": is_full(occurrence),
        "material_url": url_for("materials.detail", material=occurrence.material_id)
        if occurrence.material_id
        else "",
        "push_url": url_of(occurrence) if occurrence.push_id else "",
        "state": state,
        "state_group": group,
        "seen": occurrence.revision_id,
        "pinned": occurrence.pinned and occurrence.state != "skipped",
        "why": why_lines(occurrence),
        "approvable": occurrence.needs_approval and ahead,
        "changeable": open_ and ahead,
        "restorable": occurrence.state == "skipped" and ahead,
    }


def _split(weekdays: str) -> list[str]:
    return [day.strip() for day in weekdays.split(",") if day.strip()]


def _read(before: ColumnDraft | None = None, given: MultiDict[str, str] | None = None) -> ColumnDraft:
    """The form as it was filled in, faults and all."""
    form = request.form if given is None else given
    slots = []
    for number in range(_SLOTS_MOST):
        if f"slot-{number}-time" not in form:
            continue
        days = form.getlist(f"slot-{number}-days")
        if set(_WEEK) <= set(days):
            days = ["daily"]
        rule = form.get(f"slot-{number}-rrule", "").strip()
        at = form.get(f"slot-{number}-time", "").strip()
        slots.append(SlotDraft("" if rule else ",".join(days), at, rule))
    return ColumnDraft(
        name=form.get("name", ""),
        channel=form.get("channel", ""),
        slots=tuple(slots),
        classes=tuple(form.getlist("classes")),
        targets=Targets(
            tuple(form.getlist("tags")), tuple(form.getlist("types")), tuple(form.getlist("stages"))
        ),
        pool=PoolDraft(
            tuple(form.getlist("pool_tags")),
            tuple(form.getlist("pool_kinds")),
            tuple(form.getlist("pool_zones")),
        ),
        goal=form.get("goal", ""),
        owner=form.get("owner", ""),
        zone=form.get("zone", ""),
        cooldown_days=14,
        approval=form.get("approval", ""),
        late_policy=form.get("late_policy", ""),
        priority=form.get("priority", "normal"),
        options=before.options if before else {},
        active=bool(form.get("active")),
    )


def _checked(draft: ColumnDraft) -> ColumnDraft:
    """The draft with its number read. Raises Invalid for what is not one."""
    return replace(draft, cooldown_days=whole("cooldown_days", needed=True) or 0)


def _form(column: ColumnView | None, draft: ColumnDraft, errors: Errors, lock: int) -> str:
    taxonomy = server().library.taxonomy()
    counted = Stock().fitting(draft.pool, draft.classes)
    known_tags = server().library.search.facets().counts["tag"]
    shown = {
        name: getattr(draft, name)
        for name in (
            "name",
            "goal",
            "owner",
            "classes",
            "channel",
            "zone",
            "approval",
            "late_policy",
            "priority",
            "active",
        )
    }
    return render_template(
        "columns/edit.html",
        column=_shown(column) if column else None,
        form={
            **shown,
            "slots": [
                {"days": _split(slot.weekdays), "time": slot.time, "rrule": slot.rrule}
                for slot in draft.slots
            ],
            "tags": draft.targets.tags,
            "types": draft.targets.types,
            "stages": draft.targets.stages,
            "pool_tags": draft.pool.tags,
            "pool_kinds": draft.pool.kinds,
            "pool_zones": draft.pool.zones,
            "cooldown_days": request.form.get("cooldown_days", draft.cooldown_days),
            "lock": lock,
        },
        errors=errors,
        stale=bool(errors) and column is not None and lock != column.lock,
        classes=choices.of_terms(taxonomy.classes),
        zones=choices.of_terms(taxonomy.zones),
        kinds=choices.of_terms(taxonomy.kinds),
        channels=choices.channels(),
        community_tags=choices.tags(
            dict.fromkeys([*server().audience.communities.tags(), *draft.targets.tags])
        ),
        community_types=choices.types(),
        community_stages=choices.stages(),
        all_tags=choices.tags(dict.fromkeys([*draft.pool.tags, *list(known_tags)[:40]])),
        time_zones=choices.zones(draft.zone),
        **_foreseen(column, draft),
        presets=presets_shown()["presets"] if column is None else (),
        **pool_shown(draft.pool, counted),
    )
