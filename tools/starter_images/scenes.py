"""Pictures without a page's frame: rooms, stickers and a chat drawn from agreed words."""

from tools.starter_images.canvas import Canvas
from tools.starter_images.layouts import MARGIN, Trade, Words, signature
from tools.starter_images.pictures import Pen, draw_picture, heart, star


def bedtime(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: a reading corner at night, a father and a child under a lamp."""
    canvas = trade.page(1080, 1080, "night")
    canvas.oval(700, 520, 470, "night_glow")
    canvas.box(96, 120, 300, 360, "card", 22)
    canvas.box(112, 136, 268, 328, "night_sky", 14)
    pen = Pen(canvas, 0, 0, 1080)
    canvas.oval(296, 236, 50, "accent")
    canvas.oval(318, 222, 44, "night_sky")
    for x, y in ((15, 20), (19, 32), (31, 36), (13, 38)):
        star(pen, x, y, 0.9, "card")
    canvas.box(240, 136, 10, 328, "card")
    canvas.box(112, 292, 268, 10, "card")
    canvas.box(0, 860, 1080, 220, "floor")
    canvas.oval(560, 884, 470, "rug", 78)
    canvas.box(862, 380, 14, 480, "ink", 7)
    canvas.polygon([(790, 400), (948, 400), (916, 270), (822, 270)], "accent")
    canvas.box(800, 848, 138, 18, "ink", 9)
    canvas.box(330, 560, 440, 320, "second", 90)
    canvas.box(290, 640, 120, 250, "second_deep", 56)
    canvas.box(690, 640, 120, 250, "second_deep", 56)
    canvas.box(366, 760, 370, 120, "second_deep", 40)
    canvas.box(432, 560, 190, 250, "main", 84)
    canvas.box(446, 760, 78, 150, "ink", 36)
    canvas.box(536, 760, 78, 150, "ink", 36)
    draw_head(canvas, 520, 482, 92, "hair", 0.86)
    canvas.box(592, 660, 112, 150, "accent", 50)
    draw_head(canvas, 640, 610, 64, "fur", 1.02)
    canvas.polygon([(548, 712), (456, 688), (456, 786), (548, 812)], "card")
    canvas.polygon([(548, 712), (640, 688), (640, 786), (548, 812)], "pale")
    canvas.oval(458, 744, 24, "skin")
    canvas.oval(640, 744, 19, "skin")
    draw_picture(canvas, "bear", 208, 848, 156)
    canvas.text(MARGIN, 1020, words["title"], 38, "card", bold=True)
    canvas.text(1008, 1020, trade.shop, 27, "pale", bold=True, anchor="rm")
    return canvas


def draw_head(canvas: Canvas, cx: float, cy: float, r: float, hair: str, length: float) -> None:
    """A head looking down at a book; `length` is how far the hair reaches beside the face."""
    canvas.oval(cx, cy - r * 0.18, r * length, hair)
    canvas.oval(cx, cy + r * 0.14, r * 0.82, "skin", r * 0.84)
    canvas.pie(cx, cy + r * 0.02, r * 0.86, 190, 350, hair)
    for side in (-1, 1):
        canvas.arc(cx + side * r * 0.34, cy + r * 0.2, r * 0.13, 20, 160, "ink", r * 0.06)
        canvas.oval(cx + side * r * 0.5, cy + r * 0.42, r * 0.13, "blush", r * 0.08)
    canvas.arc(cx, cy + r * 0.4, r * 0.2, 20, 160, "ink", r * 0.06)


def desk(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: a desk at half past two in the night, with notes on used slips."""
    canvas = trade.page(1080, 1080, "night")
    canvas.polygon([(500, 330), (690, 330), (980, 800), (200, 800)], "night_glow")
    canvas.oval(210, 240, 118, "card")
    canvas.oval(210, 240, 102, "night_sky")
    canvas.line([(210, 240), (256, 228)], "card", 9)
    canvas.line([(210, 240), (210, 322)], "accent", 7)
    for step in range(4):
        x, y = ((210, 152), (298, 240), (210, 328), (122, 240))[step]
        canvas.oval(x, y, 6, "card")
    canvas.line([(770, 800), (810, 560), (640, 330)], "soft", 14)
    canvas.polygon([(500, 350), (700, 350), (650, 250), (550, 250)], "accent")
    canvas.box(0, 796, 1080, 284, "floor")
    canvas.box(0, 796, 1080, 18, "rug")
    canvas.box(390, 500, 330, 220, "ink", 20)
    canvas.box(408, 518, 294, 184, "card", 10)
    for row in range(4):
        for column in range(4):
            hot = (row, column) in ((1, 1), (2, 3), (3, 2))
            fill = "main" if row == 0 else "accent" if hot else "pale"
            canvas.box(424 + column * 68, 534 + row * 41, 60, 33, fill, 6)
    canvas.polygon([(390, 716), (720, 716), (782, 788), (328, 788)], "soft")
    canvas.polygon([(430, 728), (680, 728), (704, 764), (406, 764)], "ink")
    canvas.box(322, 784, 466, 14, "pale_deep", 7)
    for index in range(3):
        x, y = 128 - index * 8, 742 - index * 26
        canvas.box(x, y, 176, 54, ("card", "pale", "card")[index], 8)
        canvas.box(x + 16, y + 12, 96, 7, "pale_deep", 3)
        canvas.box(x + 16, y + 26, 60, 7, "pale_deep", 3)
    canvas.box(196, 672, 26, 44, "ink", 6)
    canvas.arc(958, 744, 30, -80, 80, "main", 11)
    canvas.box(858, 700, 100, 98, "main", 16)
    for x in (886, 922):
        canvas.line([(x, 676), (x + 7, 660), (x - 2, 642)], "pale_deep", 6)
    canvas.box(440, 846, 220, 140, "card", 10)
    canvas.text(462, 882, "VLOOKUP", 27, "deep", bold=True)
    canvas.text(462, 922, "找谁 · 在哪找", 22, "soft")
    canvas.text(462, 956, "第几列 · 要准", 22, "soft")
    canvas.line([(690, 988), (790, 878)], "accent", 13)
    canvas.text(MARGIN, 1034, words["title"], 34, "card", bold=True)
    canvas.text(1008, 1034, trade.shop, 27, "pale", bold=True, anchor="rm")
    return canvas


def sticker(trade: Trade, words: Words) -> Canvas:
    """512 × 512: a round face with two to five characters under it."""
    canvas = trade.page(512, 512, words.get("ground", "pale"))
    canvas.oval(256, 226, 196, "card")
    draw_picture(canvas, words["picture"], 256, 216, 268)
    pen = Pen(canvas, 0, 0, 512)
    star(pen, 17, 22, 2.6, "main")
    star(pen, 84, 17, 3.2, "accent")
    heart(pen, 87, 55, 3.4, "main")
    width = canvas.text_width(words["title"], 60, bold=True) + 76
    canvas.box(256 - width / 2, 374, width, 100, "main", 50)
    canvas.text(256, 424, words["title"], 60, "card", bold=True, anchor="mm")
    return canvas


def chat(trade: Trade, words: Words) -> Canvas:
    """900 × 1200: a conversation redrawn from agreed words; faces and names are left out."""
    canvas = trade.page(900, 1200, "chat_ground")
    canvas.box(0, 0, 900, 120, "card")
    canvas.text(450, 62, words["title"], 36, bold=True, anchor="mm")
    canvas.line([(62, 44), (44, 62), (62, 80)], "ink", 5)
    canvas.text(450, 166, words["when"], 24, "soft", anchor="mm")
    y = 206.0
    for line in words["lines"]:
        mine = line["from"] == "shop"
        fill = "chat_mine" if mine else "card"
        rows = canvas.wrap(line["text"], 32, 520)
        width = max(canvas.text_width(row, 32) for row in rows) + 56
        height = len(rows) * 46 + 34
        x = 900 - 132 - width if mine else 132
        canvas.box(x, y, width, height, fill, 20)
        tip, back = (x + width + 14, x + width - 4) if mine else (x - 14, x + 4)
        canvas.polygon([(tip, y + 40), (back, y + 26), (back, y + 56)], fill)
        for index, row in enumerate(rows):
            canvas.text(x + 28, y + 17 + 23 + index * 46, row, 32)
        face_x = 816 if mine else 36
        canvas.box(face_x, y, 72, 72, "main" if mine else "second", 16)
        if mine:
            canvas.text(face_x + 36, y + 37, trade.shop[0], 36, "card", bold=True, anchor="mm")
        else:
            canvas.oval(face_x + 36, y + 28, 14, "card")
            canvas.pie(face_x + 36, y + 66, 24, 180, 360, "card")
        y += height + 26
    canvas.box(0, 1090, 900, 110, "card")
    canvas.text(MARGIN, 1124, words["note"], 25, "soft")
    signature(canvas, trade, y=1166)
    return canvas
