"""Page layouts that carry words: covers, step lists, posters, coupons, product cards, topics."""

from dataclasses import dataclass
from typing import Any

from tools.starter_images.canvas import Canvas, Fonts
from tools.starter_images.pictures import draw_picture

# A drawing's own fields, as written in drawings.yaml.
Words = dict[str, Any]

MARGIN = 72


@dataclass(frozen=True)
class Trade:
    """What all pictures of one trade share."""

    shop: str
    slogan: str
    colours: dict[str, str]
    fonts: Fonts

    def page(self, width: int, height: int, ground: str = "paper") -> Canvas:
        """An empty page in this trade's colours."""
        return Canvas(width, height, self.fonts, self.colours, ground)


def tag(canvas: Canvas, x: float, y: float, words: str, fill: str = "main") -> None:
    """A pill with a short label; `x`, `y` is its top left."""
    width = canvas.text_width(words, 26, bold=True) + 44
    canvas.box(x, y, width, 50, fill, 25)
    canvas.text(x + 22, y + 25, words, 26, "card", bold=True)


def signature(
    canvas: Canvas, trade: Trade, fill: str = "soft", *, dot: str = "main", y: float | None = None
) -> None:
    """The shop's name at the left of the foot and its slogan at the right."""
    base = canvas.height - 56 if y is None else y
    canvas.oval(MARGIN + 9, base, 9, dot)
    canvas.text(MARGIN + 30, base, trade.shop, 27, fill, bold=True)
    canvas.text(canvas.width - MARGIN, base, trade.slogan, 23, fill, anchor="rm")


def bubbles(canvas: Canvas, cx: float, cy: float, r: float, fill: str, *, spot: str) -> None:
    """A large disc with three small satellites: the backdrop of a picture."""
    canvas.oval(cx, cy, r, fill)
    canvas.oval(cx - r * 1.02, cy + r * 0.52, r * 0.09, spot)
    canvas.oval(cx + r * 0.86, cy - r * 0.72, r * 0.07, spot)
    canvas.oval(cx - r * 0.72, cy - r * 0.86, r * 0.045, "main")


def cover(trade: Trade, words: Words) -> Canvas:
    """1080 × 608: title on the left, picture on the right; with `play`, a video's first frame."""
    canvas = trade.page(1080, 608)
    canvas.oval(1000, 80, 380, "pale")
    canvas.oval(20, 640, 190, "second_pale")
    bubbles(canvas, 820, 300, 196, "card", spot="accent")
    draw_picture(canvas, words["picture"], 820, 300, 268)
    tag(canvas, MARGIN, 76, words["tag"])
    below = canvas.paragraph(MARGIN, 152, words["title"], 60, 500, bold=True, leading=1.32)
    canvas.paragraph(MARGIN, below + 18, words["note"], 28, 470, "soft", leading=1.55)
    if words.get("play"):
        canvas.oval(672, 432, 56, "card")
        canvas.oval(672, 432, 48, "main")
        canvas.polygon([(658, 406), (658, 458), (700, 432)], "card")
        canvas.box(906, 440, 104, 46, "ink", 23)
        canvas.text(958, 463, words["play"], 25, "card", bold=True, anchor="mm")
    signature(canvas, trade, y=552)
    return canvas


def steps(trade: Trade, words: Words) -> Canvas:
    """900 × 1200: a heading with a picture, then numbered rows; `label` replaces the number."""
    canvas = trade.page(900, 1200)
    canvas.box(0, 0, 900, 376, "pale")
    canvas.oval(900, 0, 300, "pale_deep")
    canvas.oval(736, 182, 118, "card")
    draw_picture(canvas, words["picture"], 736, 182, 168)
    tag(canvas, MARGIN, 66, words["tag"])
    canvas.paragraph(MARGIN, 134, words["title"], 54, 540, bold=True, leading=1.3)
    rows: list[Words] = words["rows"]
    top, foot, gap = 318, 1092, 18
    height = (foot - top - gap * (len(rows) - 1)) / len(rows)
    wide = max(canvas.text_width(row.get("label", ""), 28, bold=True) for row in rows)
    badge = max(76, wide + 40)
    for index, row in enumerate(rows):
        y = top + index * (height + gap)
        fill = ("main", "second", "accent_deep")[index % 3]
        canvas.box(48, y, 804, height, "card", 26)
        canvas.box(76, y + height / 2 - 38, badge, 76, fill, 24)
        label = row.get("label", str(index + 1))
        size = 28 if "label" in row else 40
        canvas.text(76 + badge / 2, y + height / 2, label, size, "card", bold=True, anchor="mm")
        left = 76 + badge + 30
        note = canvas.wrap(row["note"], 26, 824 - left)
        start = y + height / 2 - (38 + 8 + len(note) * 38) / 2
        canvas.text(left, start + 19, row["head"], 33, bold=True)
        canvas.paragraph(left, start + 46, row["note"], 26, 824 - left, "soft", leading=1.46)
    signature(canvas, trade, y=1148)
    return canvas


def poster(trade: Trade, words: Words) -> Canvas:
    """900 × 1200: one picture, one big line, a few facts in a card."""
    canvas = trade.page(900, 1200, "main")
    canvas.oval(450, 258, 402, "main_light")
    canvas.oval(450, 400, 262, "paper")
    canvas.oval(130, 560, 34, "accent")
    canvas.oval(790, 190, 24, "accent")
    canvas.oval(760, 610, 15, "paper")
    draw_picture(canvas, words["picture"], 450, 400, 372)
    canvas.text(450, 84, words["tag"], 34, "card", bold=True, anchor="mm")
    canvas.text(450, 726, words["title"], words.get("size", 88), "card", bold=True, anchor="mm")
    canvas.text(450, 806, words["note"], 34, "paper", anchor="mm")
    canvas.box(56, 868, 788, 232, "paper", 32)
    facts: list[Words] = words["facts"]
    width = 788 / len(facts)
    for index, fact in enumerate(facts):
        cx = 56 + width * (index + 0.5)
        canvas.text(cx, 956, fact["head"], fact.get("size", 46), "deep", bold=True, anchor="mm")
        canvas.paragraph(cx, 1000, fact["note"], 25, width - 30, "soft", align="m")
        if index:
            canvas.box(56 + width * index - 1, 924, 2, 120, "pale_deep")
    signature(canvas, trade, "paper", dot="accent", y=1150)
    return canvas


def coupon(trade: Trade, words: Words) -> Canvas:
    """1080 × 608: a torn-off ticket with the amount, the terms and how to use it."""
    canvas = trade.page(1080, 608, "pale")
    canvas.oval(80, 60, 200, "pale_deep")
    canvas.oval(1030, 590, 170, "pale_deep")
    canvas.box(66, 92, 948, 396, "card", 34)
    canvas.box(66, 92, 330, 396, "main", 34)
    canvas.box(340, 92, 56, 396, "main")
    for y in (92, 488):
        canvas.oval(396, y, 26, "pale")
    for step in range(15):
        canvas.box(394, 132 + step * 22, 4, 11, "pale")
    amount, unit = str(words["amount"]), words["unit"]
    width = canvas.text_width(amount, 150, bold=True)
    canvas.text(231 - 22, 292, amount, 150, "card", bold=True, anchor="ms")
    canvas.text(231 - 16 + width / 2, 292, unit, 44, "card", bold=True, anchor="ls")
    canvas.box(121, 332, 220, 3, "main_light", 1)
    canvas.text(231, 376, words["condition"], 34, "card", bold=True, anchor="mm")
    canvas.text(231, 428, words["who"], 25, "pale", anchor="mm")
    canvas.text(456, 178, words["title"], 50, bold=True)
    for index, term in enumerate(words["terms"]):
        y = 256 + index * 54
        canvas.oval(464, y, 7, "second")
        canvas.text(488, y, term, 28, "soft")
    canvas.box(456, 412, 196, 48, "second", 24)
    canvas.text(554, 436, words["action"], 25, "card", bold=True, anchor="mm")
    draw_picture(canvas, words["picture"], 916, 388, 148)
    signature(canvas, trade, y=548)
    return canvas


def countdown(trade: Trade, words: Words) -> Canvas:
    """900 × 1200: a tear-off calendar page with the days left and what to prepare."""
    canvas = trade.page(900, 1200)
    canvas.oval(80, 120, 260, "pale")
    canvas.oval(880, 820, 300, "second_pale")
    tag(canvas, MARGIN, 70, words["tag"])
    canvas.text(MARGIN, 182, words["title"], 64, bold=True)
    canvas.text(MARGIN, 246, words["note"], 30, "soft")
    canvas.box(196, 330, 508, 424, "pale_deep", 40)
    canvas.box(182, 312, 508, 424, "card", 40)
    canvas.box(182, 312, 508, 104, "main", 40)
    canvas.box(182, 376, 508, 44, "main")
    for x in (296, 576):
        canvas.box(x - 11, 282, 22, 72, "ink", 11)
    canvas.text(436, 374, "还有", 42, "card", bold=True, anchor="mm")
    canvas.text(400, 576, str(words["days"]), 250, "deep", bold=True, anchor="mm")
    canvas.text(500, 640, "天", 68, "deep", bold=True)
    canvas.text(MARGIN, 822, words["list_title"], 34, bold=True)
    for index, item in enumerate(words["items"]):
        column, row = index % 2, index // 2
        x, y = MARGIN + column * 390, 860 + row * 116
        canvas.box(x, y, 366, 98, "card", 22)
        if words.get("timetable"):
            canvas.oval(x + 44, y + 49, 11, "second")
        else:
            canvas.frame(x + 26, y + 31, 36, 36, "second", 9, 4)
        canvas.text(x + 84, y + 49, item, 29)
    signature(canvas, trade, y=1144)
    return canvas


def live(trade: Trade, words: Words) -> Canvas:
    """900 × 1200: the hour of a live session, its subject, three points and the host."""
    canvas = trade.page(900, 1200, "deep")
    canvas.oval(820, 210, 330, "main")
    canvas.oval(690, 330, 172, "paper")
    draw_picture(canvas, words["picture"], 690, 330, 236)
    tag(canvas, MARGIN, 84, words["tag"], "accent_deep")
    canvas.text(MARGIN, 222, words["day"], 46, "pale", bold=True)
    canvas.text(MARGIN - 4, 322, words["time"], 128, "card", bold=True)
    canvas.paragraph(MARGIN, 436, words["title"], 66, 720, "card", bold=True, leading=1.3)
    canvas.box(56, 660, 788, 426, "paper", 36)
    for index, point in enumerate(words["points"]):
        y = 736 + index * 92
        canvas.oval(126, y, 30, ("main", "second", "accent_deep")[index % 3])
        canvas.text(126, y, str(index + 1), 30, "card", bold=True, anchor="mm")
        canvas.text(180, y, point, 34, bold=True)
    canvas.box(96, 984, 708, 2, "pale_deep")
    canvas.text(96, 1034, words["host"], 29, "soft")
    canvas.text(804, 1034, words["length"], 29, "soft", anchor="rm")
    signature(canvas, trade, "pale", dot="accent", y=1144)
    return canvas


def product(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: a product on a pedestal with its name and three plain facts."""
    canvas = trade.page(1080, 1080, "backdrop")
    canvas.oval(540, 430, 356, "second_pale")
    canvas.oval(540, 704, 300, "pale_deep", 56)
    canvas.oval(540, 690, 300, "card", 54)
    draw_picture(canvas, words["picture"], 540, 446, 480)
    tag(canvas, MARGIN, 66, words["tag"])
    canvas.text(540, 812, words["title"], 56, bold=True, anchor="mm")
    facts: list[str] = words["facts"]
    widths = [canvas.text_width(fact, 29) + 56 for fact in facts]
    x = 540 - (sum(widths) + 24 * (len(facts) - 1)) / 2
    for fact, width in zip(facts, widths, strict=True):
        canvas.box(x, 866, width, 64, "card", 32)
        canvas.text(x + width / 2, 898, fact, 29, "deep", anchor="mm")
        x += width + 24
    signature(canvas, trade, y=1014)
    return canvas


def topic(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: a question for the group, with empty answers waiting around it."""
    canvas = trade.page(1080, 1080, "pale")
    canvas.oval(1010, 120, 260, "pale_deep")
    canvas.oval(40, 1040, 220, "second_pale")
    canvas.box(72, 92, 936, 586, "card", 48)
    canvas.polygon([(212, 662), (330, 662), (196, 762)], "card")
    canvas.text(136, 182, words["tag"], 42, "main", bold=True)
    below = canvas.paragraph(136, 236, words["title"], 76, 800, bold=True, leading=1.36)
    canvas.text(136, below + 50, words["note"], 34, "soft")
    y = 748.0
    for index, answer in enumerate(words["answers"]):
        width = canvas.text_width(answer, 31) + 72
        x = 1008 - width - index % 2 * 96
        canvas.box(x, y, width, 74, ("main", "second")[index % 2], 37)
        canvas.text(x + width / 2, y + 37, answer, 31, "card", anchor="mm")
        y += 92
    draw_picture(canvas, words["picture"], 176, 884, 190)
    signature(canvas, trade, y=1034)
    return canvas
