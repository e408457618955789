"""Small pictures made of plain shapes, each drawn in a square of 100 × 100 units."""

from collections.abc import Callable
from math import cos, radians, sin

from tools.starter_images.canvas import Canvas, Point


class Pen:
    """Maps a picture's 100 × 100 units onto a square of the canvas."""

    def __init__(self, canvas: Canvas, x: float, y: float, size: float) -> None:
        self._canvas, self._x, self._y, self._k = canvas, x, y, size / 100

    def _at(self, point: Point) -> Point:
        return self._x + point[0] * self._k, self._y + point[1] * self._k

    def box(self, x: float, y: float, w: float, h: float, fill: str, radius: float = 0) -> None:
        left, top = self._at((x, y))
        k = self._k
        self._canvas.box(left, top, w * k, h * k, fill, radius * k)

    def oval(self, cx: float, cy: float, rx: float, fill: str, ry: float | None = None) -> None:
        x, y = self._at((cx, cy))
        self._canvas.oval(x, y, rx * self._k, fill, None if ry is None else ry * self._k)

    def pie(self, cx: float, cy: float, r: float, start: float, end: float, fill: str) -> None:
        x, y = self._at((cx, cy))
        self._canvas.pie(x, y, r * self._k, start, end, fill)

    def arc(self, cx: float, cy: float, r: float, start: float, end: float, line: str, width: float) -> None:
        x, y = self._at((cx, cy))
        self._canvas.arc(x, y, r * self._k, start, end, line, width * self._k)

    def line(self, points: list[Point], line: str, width: float) -> None:
        self._canvas.line([self._at(p) for p in points], line, width * self._k)

    def polygon(self, points: list[Point], fill: str) -> None:
        self._canvas.polygon([self._at(p) for p in points], fill)

    def text(self, x: float, y: float, words: str, size: float, fill: str) -> None:
        left, top = self._at((x, y))
        self._canvas.text(left, top, words, size * self._k, fill, bold=True, anchor="mm")


def heart(p: Pen, cx: float, cy: float, r: float, fill: str) -> None:
    """A heart about `2 r` wide; other pictures use it too."""
    p.oval(cx - r * 0.5, cy - r * 0.3, r * 0.56, fill)
    p.oval(cx + r * 0.5, cy - r * 0.3, r * 0.56, fill)
    p.polygon([(cx - r * 1.0, cy - r * 0.05), (cx + r * 1.0, cy - r * 0.05), (cx, cy + r)], fill)


def face(p: Pen, cx: float, cy: float, r: float, line: str) -> None:
    """Two eyes, cheeks and a smile."""
    p.oval(cx - r * 0.38, cy - r * 0.05, r * 0.09, line)
    p.oval(cx + r * 0.38, cy - r * 0.05, r * 0.09, line)
    p.oval(cx - r * 0.58, cy + r * 0.24, r * 0.15, "blush", r * 0.1)
    p.oval(cx + r * 0.58, cy + r * 0.24, r * 0.15, "blush", r * 0.1)
    p.arc(cx, cy + r * 0.12, r * 0.26, 20, 160, line, r * 0.09)


def bowl(p: Pen) -> None:
    for x, shift in ((38, 0), (50, -4), (62, 0)):
        p.line([(x, 30 + shift), (x + 3, 24 + shift), (x - 1, 18 + shift)], "pale_deep", 2.6)
    p.oval(50, 47, 36, "accent", 9)
    p.oval(50, 47, 30, "card", 6.5)
    p.pie(50, 47, 36, 0, 180, "main")
    p.box(36, 80, 28, 7, "deep", 3.5)
    p.line([(70, 44), (92, 22)], "second", 4.5)
    heart(p, 50, 62, 7, "pale")


def tub(p: Pen) -> None:
    for x, y, r in ((26, 34, 7), (40, 26, 9), (57, 30, 7), (68, 20, 4), (33, 16, 3.5)):
        p.oval(x, y, r, "second_pale")
    p.oval(50, 42, 13, "skin")
    face(p, 50, 42, 13, "ink")
    p.box(10, 50, 80, 9, "deep", 4.5)
    p.pie(50, 56, 36, 0, 180, "main")
    p.oval(30, 92, 4, "deep")
    p.oval(70, 92, 4, "deep")


def moon(p: Pen) -> None:
    p.oval(48, 50, 32, "accent")
    p.oval(60, 42, 27, "pale")
    for x, y, r in ((68, 30, 4), (80, 50, 3), (66, 60, 2.4)):
        star(p, x, y, r, "main")


def star(p: Pen, cx: float, cy: float, r: float, fill: str) -> None:
    """A four-pointed twinkle."""
    points: list[Point] = []
    for step in range(8):
        reach = r * (1.5 if step % 2 == 0 else 0.5)
        angle = radians(45 * step - 90)
        points.append((cx + reach * cos(angle), cy + reach * sin(angle)))
    p.polygon(points, fill)


def sun(p: Pen) -> None:
    for step in range(12):
        angle = radians(30 * step)
        inner, outer = 33, 43
        p.line(
            [
                (50 + inner * cos(angle), 50 + inner * sin(angle)),
                (50 + outer * cos(angle), 50 + outer * sin(angle)),
            ],
            "main",
            5,
        )
    p.oval(50, 50, 27, "accent")
    face(p, 50, 50, 27, "ink")


def bear(p: Pen) -> None:
    for x in (24, 76):
        p.oval(x, 26, 14, "fur")
        p.oval(x, 26, 7.5, "blush")
    p.oval(50, 54, 38, "fur", 35)
    p.oval(50, 65, 15, "card", 12)
    p.oval(36, 48, 4, "ink")
    p.oval(64, 48, 4, "ink")
    p.oval(50, 60, 5, "ink", 3.6)
    p.arc(50, 64, 7, 20, 160, "ink", 2.4)
    p.oval(23, 60, 5.5, "blush", 4)
    p.oval(77, 60, 5.5, "blush", 4)


def tissue(p: Pen) -> None:
    p.polygon([(30, 42), (34, 16), (46, 26), (58, 6), (66, 22), (74, 18), (70, 42)], "pale")
    p.polygon([(46, 26), (58, 6), (56, 42), (42, 42)], "pale_deep")
    p.polygon([(48, 28), (58, 10), (57, 42), (46, 42)], "paper")
    p.box(12, 38, 76, 48, "second", 7)
    p.box(12, 38, 76, 12, "second_deep", 6)
    p.box(28, 41, 44, 5, "ink", 2.5)
    heart(p, 50, 67, 8, "card")


def suction_bowl(p: Pen) -> None:
    p.box(26, 74, 48, 14, "second_deep", 7)
    p.oval(50, 88, 30, "second", 6)
    for x in (24, 76):
        p.oval(x, 21, 12, "main")
        p.oval(x, 21, 6.5, "pale_deep")
    p.oval(50, 48, 42, "deep", 36)
    p.oval(50, 46, 42, "main", 36)
    p.oval(50, 46, 35, "pale", 29)
    p.line([(50, 18), (50, 46)], "main", 4.5)
    p.line([(50, 46), (24, 63)], "main", 4.5)
    p.line([(50, 46), (76, 63)], "main", 4.5)
    for x, y in ((31, 34), (39, 28), (37, 40), (28, 43)):
        p.oval(x, y, 4, "second")
    for x, y in ((61, 30), (68, 38), (62, 42)):
        p.box(x - 4, y - 4, 8, 8, "accent", 2.5)
    p.oval(50, 63, 14, "card", 6.5)


def bib(p: Pen) -> None:
    p.oval(50, 56, 34, "main", 34)
    p.oval(50, 57, 29, "pale", 29)
    p.oval(50, 26, 19, "main", 19)
    p.oval(50, 23, 14.5, "backdrop", 15.5)
    p.box(44, 3, 12, 9, "deep", 3)
    p.oval(47, 7.5, 1.6, "card")
    p.oval(53, 7.5, 1.6, "card")
    for x, y in ((33, 56), (50, 64), (67, 56), (41, 74), (59, 74), (50, 49)):
        heart(p, x, y, 3.2, "main")


def cup(p: Pen) -> None:
    p.arc(26, 58, 15, 80, 280, "second", 6)
    p.arc(74, 58, 15, -100, 100, "second", 6)
    p.box(30, 34, 40, 52, "main", 9)
    p.box(36, 44, 5, 30, "pale", 2.5)
    p.box(27, 27, 46, 11, "deep", 5)
    p.line([(54, 27), (56, 14), (66, 9)], "accent", 5)


def stroller(p: Pen) -> None:
    p.pie(46, 50, 34, 180, 270, "deep")
    p.pie(46, 50, 34, 0, 180, "main")
    p.pie(46, 50, 34, 270, 360, "pale")
    p.oval(54, 44, 9, "skin")
    face(p, 54, 44, 9, "ink")
    p.line([(78, 50), (92, 26)], "ink", 4)
    p.line([(88, 24), (96, 28)], "ink", 4)
    for x in (30, 64):
        p.oval(x, 86, 9.5, "ink")
        p.oval(x, 86, 4, "accent")


def books(p: Pen) -> None:
    p.box(14, 72, 72, 14, "second", 4)
    p.box(20, 58, 64, 14, "accent", 4)
    p.polygon([(50, 26), (14, 16), (14, 48), (50, 58)], "main")
    p.polygon([(50, 26), (86, 16), (86, 48), (50, 58)], "deep")
    p.polygon([(50, 24), (18, 13), (18, 43), (50, 54)], "card")
    p.polygon([(50, 24), (82, 13), (82, 43), (50, 54)], "pale")
    for step in range(3):
        p.line([(24, 22 + step * 7), (43, 28 + step * 7)], "pale_deep", 1.8)
    heart(p, 66, 34, 8, "main")


def calendar(p: Pen) -> None:
    p.box(14, 20, 72, 66, "card", 8)
    p.box(14, 20, 72, 20, "main", 8)
    p.box(14, 32, 72, 8, "main")
    for x in (32, 68):
        p.box(x - 3, 12, 6, 16, "ink", 3)
    for row in range(3):
        for column in range(4):
            marked = row == 1 and column == 2
            p.oval(28 + column * 15, 51 + row * 12, 4.4, "accent" if marked else "pale")


def keyboard(p: Pen) -> None:
    p.box(6, 30, 88, 48, "ink", 8)
    for row, count in enumerate((7, 7, 6)):
        for column in range(count):
            hot = (row, column) in ((1, 2), (2, 0))
            p.box(12 + column * 11 + row * 1.5, 36 + row * 12, 9, 9, "accent" if hot else "pale", 2)
    p.box(30, 70, 40, 5, "pale", 2)


def bars(p: Pen) -> None:
    for x, height, fill in ((16, 26, "pale_deep"), (37, 40, "second"), (58, 56, "main")):
        p.box(x, 84 - height, 15, height, fill, 4)
    p.line([(18, 46), (42, 32), (62, 20), (84, 10)], "accent", 4.5)
    p.line([(10, 86), (90, 86)], "ink", 3)


def laptop(p: Pen) -> None:
    p.box(16, 18, 68, 48, "ink", 6)
    p.box(21, 23, 58, 38, "card", 3)
    p.box(26, 44, 8, 12, "second", 2)
    p.box(38, 36, 8, 20, "main", 2)
    p.box(50, 40, 8, 16, "accent", 2)
    p.box(62, 30, 8, 26, "main", 2)
    p.box(6, 68, 88, 8, "deep", 4)
    p.box(42, 68, 16, 4, "pale_deep", 2)


def clapper(p: Pen) -> None:
    p.polygon([(12, 30), (84, 10), (88, 24), (16, 44)], "ink")
    for x in (22, 44, 66):
        p.polygon([(x, 27.2), (x + 10, 24.4), (x + 16, 36.5), (x + 6, 39.5)], "card")
    p.box(12, 42, 76, 44, "main", 6)
    p.polygon([(42, 52), (62, 64), (42, 76)], "card")


def microphone(p: Pen) -> None:
    p.box(36, 8, 28, 48, "main", 14)
    for y in (22, 31, 40):
        p.line([(42, y), (58, y)], "pale", 2.6)
    p.arc(50, 44, 25, 0, 180, "ink", 5)
    p.line([(50, 69), (50, 86)], "ink", 5)
    p.line([(34, 88), (66, 88)], "ink", 5)
    p.arc(50, 34, 40, -35, 35, "accent", 4)
    p.arc(50, 34, 40, 145, 215, "accent", 4)


def headphones(p: Pen) -> None:
    p.arc(50, 52, 34, 180, 360, "ink", 7)
    for x in (10, 74):
        p.box(x, 48, 16, 32, "main", 7)
    p.text(50, 58, "40'", 19, "accent")


def phone(p: Pen) -> None:
    p.box(28, 8, 44, 84, "ink", 9)
    p.box(32, 16, 36, 64, "card", 3)
    p.box(36, 22, 28, 12, "main", 3)
    for y in (40, 50, 60):
        p.box(36, y, 28, 6, "pale", 3)
    p.oval(50, 86, 3, "pale")
    heart(p, 79, 24, 9, "accent")


def hammer(p: Pen) -> None:
    p.line([(20, 82), (62, 36)], "fur", 9)
    p.polygon([(57, 12), (90, 42), (77, 56), (44, 26)], "ink")
    p.polygon([(57, 12), (64, 18), (51, 32), (44, 26)], "soft")
    for x, y in ((84, 66), (94, 58), (70, 70)):
        star(p, x, y, 3.4, "accent")
    for x in (60, 74, 88):
        p.line([(x, 88), (x, 80)], "deep", 2.6)
        p.line([(x - 3, 79), (x + 3, 79)], "deep", 2.6)
    p.line([(16, 92), (96, 92)], "deep", 5)


def pot(p: Pen) -> None:
    for x in (36, 50, 64):
        p.line([(x, 28), (x + 4, 21), (x, 14)], "pale_deep", 3)
    p.box(6, 50, 88, 9, "deep", 4.5)
    p.box(16, 42, 68, 44, "main", 10)
    p.box(12, 36, 76, 10, "deep", 5)
    p.box(44, 30, 12, 7, "accent", 3)
    heart(p, 50, 66, 9, "pale")


def person(p: Pen) -> None:
    p.pie(50, 104, 40, 180, 360, "main")
    p.box(43, 52, 14, 18, "skin_deep", 6)
    p.oval(50, 36, 27, "hair", 28)
    p.oval(50, 41, 21, "skin", 22)
    p.pie(50, 34, 22, 180, 360, "hair")
    face(p, 50, 43, 20, "ink")
    p.polygon([(42, 66), (58, 66), (50, 76)], "card")


def person_short_hair(p: Pen) -> None:
    p.pie(50, 104, 40, 180, 360, "deep")
    p.box(43, 52, 14, 18, "skin_deep", 6)
    p.oval(50, 40, 21, "skin", 23)
    p.pie(50, 32, 23, 180, 360, "hair")
    p.box(27, 29, 10, 9, "hair", 4)
    p.box(64, 29, 9, 9, "hair", 4)
    face(p, 50, 43, 20, "ink")
    for x in (42.4, 57.6):
        p.arc(x, 42, 6.2, 0, 360, "ink", 1.4)
    p.line([(48.6, 42), (51.4, 42)], "ink", 1.4)
    p.polygon([(40, 66), (60, 66), (50, 82)], "card")
    p.polygon([(48, 70), (52, 70), (54, 86), (50, 90), (46, 86)], "accent")


PICTURES: dict[str, Callable[[Pen], None]] = {
    draw.__name__: draw
    for draw in (
        bowl, tub, moon, sun, bear, tissue, suction_bowl, bib, cup, stroller, books, calendar,
        keyboard, bars, laptop, clapper, microphone, headphones, phone, hammer, pot, person,
        person_short_hair,
    )
}  # fmt: skip


def draw_picture(canvas: Canvas, name: str, cx: float, cy: float, size: float) -> None:
    """Draw a named picture centred on a point; an unknown name is a KeyError that lists them."""
    if name not in PICTURES:
        raise KeyError(f"no picture named {name!r}; there are: {', '.join(sorted(PICTURES))}")
    PICTURES[name](Pen(canvas, cx - size / 2, cy - size / 2, size))
