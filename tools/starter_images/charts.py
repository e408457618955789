"""Charts with their own scale and source line: ranges, columns, an hour's dial, a big-number table."""

from tools.starter_images.canvas import Canvas
from tools.starter_images.layouts import MARGIN, Trade, Words, signature, tag
from tools.starter_images.pictures import draw_picture


def _head(trade: Trade, words: Words, height: int = 1080) -> Canvas:
    canvas = trade.page(1080, height)
    tag(canvas, MARGIN, 66, words["tag"])
    canvas.text(MARGIN, 176, words["title"], 56, bold=True)
    canvas.text(MARGIN, 242, words["note"], 30, "soft")
    canvas.box(48, 296, 984, height - 296 - 130, "card", 36)
    signature(canvas, trade, y=height - 64)
    return canvas


def ranges(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: one bar from low to high a row, on a common scale."""
    canvas = _head(trade, words)
    scale: list[int] = words["scale"]
    low, high, every = scale
    left, right, top = 300, 926, 362

    def at(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    rows: list[Words] = words["rows"]
    pitch = 410 / (len(rows) - 1)
    for value in range(low, high + 1, every):
        canvas.box(at(value) - 1, top - 20, 2, 490, "pale")
        canvas.text(at(value), top + 496, f"{value}", 26, "soft", anchor="mm")
    for index, row in enumerate(rows):
        y = top + 25 + index * pitch
        fill = ("main", "accent_deep", "second", "deep")[index % 4]
        canvas.text(96, y, row["name"], 33, bold=True)
        canvas.box(at(row["from"]), y - 33, at(row["to"]) - at(row["from"]), 66, fill, 33)
        middle = (at(row["from"]) + at(row["to"])) / 2
        label = f"{row['from']}–{row['to']}"
        canvas.text(middle, y, label, 34, "card", bold=True, anchor="mm")
    canvas.text(right + 22, top + 496, words["unit"], 24, "soft")
    canvas.text(96, 914, words["source"], 24, "soft")
    return canvas


def columns(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: columns from zero with their values, and lines at named levels."""
    canvas = _head(trade, words)
    base, tallest = 824, 420
    values: list[Words] = words["columns"]
    top_value = max(item["value"] for item in values)
    left, right = 120, 960
    pitch = (right - left) / len(values)
    wide = min(130, pitch * 0.62)
    for index, item in enumerate(values):
        cx = left + pitch * (index + 0.5)
        height = tallest * item["value"] / top_value
        canvas.box(cx - wide / 2, base - height, wide, height, item.get("fill", "pale_deep"), 12)
        label = f"{item['value']}{words['unit']}"
        canvas.text(cx, base - height - 30, label, 36, bold=True, anchor="mm")
        canvas.text(cx, base + 36, item["name"], 29, "soft", anchor="mm")
    canvas.box(left - 20, base, right - left + 40, 4, "ink", 2)
    for level in words.get("levels", []):
        y = base - tallest * level["value"] / top_value
        for step in range(28):
            canvas.box(left - 20 + step * 31, y - 2, 17, 4, level["fill"], 2)
        width = canvas.text_width(level["name"], 28, bold=True) + 36
        x = level["x"]
        canvas.box(x, y - 66, width, 52, level["fill"], 14)
        canvas.text(x + width / 2, y - 40, level["name"], 28, "card", bold=True, anchor="mm")
    canvas.text(96, 916, words["source"], 24, "soft")
    return canvas


def dial(trade: Trade, words: Words) -> Canvas:
    """1080 × 1080: an hour cut into pieces, read clockwise from twelve, with a legend."""
    canvas = _head(trade, words)
    cx, cy, r = 330, 620, 232
    parts: list[Words] = words["parts"]
    whole = sum(part["minutes"] for part in parts)
    start = -90.0
    for part in parts:
        end = start + 360 * part["minutes"] / whole
        canvas.pie(cx, cy, r, start + 0.8, end - 0.8, part["fill"])
        start = end
    canvas.oval(cx, cy, 138, "card")
    canvas.text(cx, cy - 18, str(whole), 92, "deep", bold=True, anchor="mm")
    canvas.text(cx, cy + 58, "分钟", 32, "soft", anchor="mm")
    for index, part in enumerate(parts):
        y = 424 + index * 122
        canvas.box(622, y - 8, 14, 88, part["fill"], 7)
        canvas.text(660, y + 14, f"{part['minutes']} 分钟 · {part['head']}", 33, bold=True)
        canvas.text(660, y + 62, part["note"], 27, "soft")
    return canvas


def tiles(trade: Trade, words: Words) -> Canvas:
    """900 × 1200: one place a row with its big number, and footnotes below."""
    canvas = trade.page(900, 1200)
    canvas.oval(860, 60, 300, "pale")
    tag(canvas, MARGIN, 70, words["tag"])
    canvas.text(MARGIN, 186, words["title"], 58, bold=True)
    canvas.text(MARGIN, 252, words["note"], 30, "soft")
    draw_picture(canvas, words["picture"], 762, 168, 170)
    for index, row in enumerate(words["rows"]):
        y = 312 + index * 196
        fill = ("accent_deep", "main", "second")[index % 3]
        canvas.box(48, y, 804, 174, "card", 30)
        canvas.box(48, y, 22, 174, fill, 11)
        canvas.text(112, y + 66, row["head"], 40, bold=True)
        canvas.text(112, y + 120, row["note"], 28, "soft")
        width = canvas.text_width(row["unit"], 34, bold=True)
        canvas.text(804, y + 116, row["unit"], 34, fill, bold=True, anchor="rs")
        number = str(row["number"])
        canvas.text(804 - width - 12, y + 116, number, 92, fill, bold=True, anchor="rs")
    for index, line in enumerate(words["foot"]):
        y = 938 + index * 52
        canvas.oval(84, y, 7, "main")
        canvas.text(108, y, line, 29)
    canvas.text(MARGIN, 1094, words["source"], 23, "soft")
    signature(canvas, trade, y=1148)
    return canvas
