"""A supersampled drawing surface with Chinese type, rounded shapes and a small-file PNG writer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# Drawn at twice the size and scaled down: Pillow's shapes have no anti-aliasing of their own.
SCALE = 2
# Enough for flat artwork with soft edges; more only makes the files bigger.
PALETTE_COLOURS = 128
# Simplified Chinese is the third face in Noto's collections, the only face in a plain .otf/.ttf.
SC_FACE_IN_COLLECTION = 2

# Marks that must not open a line in Chinese typesetting (GB/T 15834).
NO_LINE_START = "，。、；：？！）》」』”’…%℃～·"

Point = tuple[float, float]


class FontNotFound(Exception):
    """No usable Chinese font was found; the message says where we looked and what to do."""


class Fonts:
    """A regular and a bold Chinese face, cached by size."""

    def __init__(self, regular: Path, bold: Path) -> None:
        self._paths = {False: regular, True: bold}
        self._cache: dict[tuple[bool, int], ImageFont.FreeTypeFont] = {}

    def get(self, size: float, bold: bool) -> ImageFont.FreeTypeFont:
        """The face at `size` design pixels."""
        key = (bold, round(size * SCALE))
        if key not in self._cache:
            path = self._paths[bold]
            index = SC_FACE_IN_COLLECTION if path.suffix.lower() == ".ttc" else 0
            self._cache[key] = ImageFont.truetype(str(path), key[1], index=index)
        return self._cache[key]


class Canvas:
    """A page measured in design pixels, coloured by palette names (or `#rrggbb`)."""

    def __init__(
        self, width: int, height: int, fonts: Fonts, colours: Mapping[str, str], ground: str
    ) -> None:
        self.width = width
        self.height = height
        self._fonts = fonts
        self._colours = colours
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), self.colour(ground))
        self._draw = ImageDraw.Draw(self._image)

    def colour(self, name: str) -> str:
        """The hex value of a palette name; a hex value stands for itself."""
        return name if name.startswith("#") else self._colours[name]

    def box(self, x: float, y: float, w: float, h: float, fill: str, radius: float = 0) -> None:
        """A filled rectangle with rounded corners."""
        area = (x * SCALE, y * SCALE, (x + w) * SCALE - 1, (y + h) * SCALE - 1)
        self._draw.rounded_rectangle(area, radius * SCALE, fill=self.colour(fill))

    def frame(
        self, x: float, y: float, w: float, h: float, line: str, radius: float, width: float = 2
    ) -> None:
        """An outlined rectangle with rounded corners."""
        area = (x * SCALE, y * SCALE, (x + w) * SCALE - 1, (y + h) * SCALE - 1)
        self._draw.rounded_rectangle(
            area, radius * SCALE, outline=self.colour(line), width=round(width * SCALE)
        )

    def oval(self, cx: float, cy: float, rx: float, fill: str, ry: float | None = None) -> None:
        """A filled circle, or an ellipse when `ry` is given."""
        up = rx if ry is None else ry
        area = ((cx - rx) * SCALE, (cy - up) * SCALE, (cx + rx) * SCALE, (cy + up) * SCALE)
        self._draw.ellipse(area, fill=self.colour(fill))

    def pie(self, cx: float, cy: float, r: float, start: float, end: float, fill: str) -> None:
        """A slice of a circle; degrees run clockwise from three o'clock."""
        area = ((cx - r) * SCALE, (cy - r) * SCALE, (cx + r) * SCALE, (cy + r) * SCALE)
        self._draw.pieslice(area, start, end, fill=self.colour(fill))

    def arc(self, cx: float, cy: float, r: float, start: float, end: float, line: str, width: float) -> None:
        """A stroke along a circle."""
        area = ((cx - r) * SCALE, (cy - r) * SCALE, (cx + r) * SCALE, (cy + r) * SCALE)
        self._draw.arc(area, start, end, fill=self.colour(line), width=round(width * SCALE))

    def line(self, points: Sequence[Point], line: str, width: float) -> None:
        """A stroke through the points, with round ends and joints."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, self.colour(line), round(width * SCALE), joint="curve")
        for x, y in points:
            self.oval(x, y, width / 2, line)

    def polygon(self, points: Sequence[Point], fill: str) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], self.colour(fill))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        fill: str = "ink",
        *,
        bold: bool = False,
        anchor: str = "lm",
    ) -> None:
        """One line of text; `anchor` is Pillow's (first letter: l, m, r; second: a, m, s)."""
        font = self._fonts.get(size, bold)
        self._draw.text((x * SCALE, y * SCALE), words, self.colour(fill), font, anchor=anchor)

    def text_width(self, words: str, size: float, *, bold: bool = False) -> float:
        """The width of one line in design pixels."""
        return self._fonts.get(size, bold).getlength(words) / SCALE

    def wrap(self, words: str, size: float, width: float, *, bold: bool = False) -> list[str]:
        """Break into lines that fit `width`; `\\n` forces a break, Latin words stay whole."""
        lines: list[str] = []
        for paragraph in words.split("\n"):
            line = ""
            for piece in _pieces(paragraph):
                fits = self.text_width(line + piece, size, bold=bold) <= width
                if line and not fits and piece not in NO_LINE_START:
                    lines.append(line.rstrip())
                    line = piece.lstrip()
                else:
                    line += piece
            lines.append(line)
        return lines

    def paragraph(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        width: float,
        fill: str = "ink",
        *,
        bold: bool = False,
        leading: float = 1.45,
        align: str = "l",
    ) -> float:
        """Wrapped text whose first line's top is `y`; answers the y below the last line."""
        for line in self.wrap(words, size, width, bold=bold):
            self.text(x, y + size * leading / 2, line, size, fill, bold=bold, anchor=f"{align}m")
            y += size * leading
        return y

    def save(self, path: Path) -> int:
        """Write a palette PNG; answers its size in bytes."""
        small = self._image.resize((self.width, self.height), Image.Resampling.LANCZOS)
        flat = small.quantize(PALETTE_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        path.parent.mkdir(parents=True, exist_ok=True)
        flat.save(path, optimize=True)
        return path.stat().st_size


def _pieces(paragraph: str) -> list[str]:
    """Split into unbreakable pieces: a Latin word or number, or one other character."""
    pieces: list[str] = []
    for char in paragraph:
        latin = char.isascii() and not char.isspace()
        if latin and pieces and pieces[-1].isascii() and not pieces[-1].isspace():
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces
