"""Draw the pictures of content_library/ from the words in each trade's images/drawings.yaml.

Run it from the repository's root with `python -m tools.draw_starter_images`. It is for developers
and for shops that want their own words on the pictures; nothing at run time needs it. It needs
Pillow, PyYAML and a Chinese font (Debian: fonts-noto-cjk). The same words and the same font give
the same files.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from tools.starter_images import charts, layouts, scenes
from tools.starter_images.canvas import Canvas, FontNotFound, Fonts
from tools.starter_images.layouts import Trade, Words

LIBRARY = Path(__file__).resolve().parents[1] / "content_library"
# A picture travels to phones by the hundred; above this it is a photograph, not a drawing.
MAX_BYTES = 120 * 1024

FONT_FOLDERS = (
    "/usr/share/fonts/opentype/noto",
    "/usr/share/fonts/noto-cjk",
    "/usr/share/fonts/google-noto-cjk",
    "/usr/share/fonts/truetype/noto",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "~/Library/Fonts",
    "/Library/Fonts",
)
FONT_NAMES = ("NotoSansCJK-{}.ttc", "NotoSansSC-{}.otf", "SourceHanSansSC-{}.otf")

LAYOUTS: dict[str, Callable[[Trade, Words], Canvas]] = {
    draw.__name__: draw
    for draw in (
        layouts.cover,
        layouts.steps,
        layouts.poster,
        layouts.coupon,
        layouts.countdown,
        layouts.live,
        layouts.product,
        layouts.topic,
        charts.ranges,
        charts.columns,
        charts.dial,
        charts.tiles,
        scenes.bedtime,
        scenes.desk,
        scenes.sticker,
        scenes.chat,
    )
}


class DrawingFault(Exception):
    """A fault in drawings.yaml; the message names the file, the drawing and the way out."""


def find_fonts(folder: Path | None) -> Fonts:
    """Find a regular and a bold Chinese face, in `folder` only when one is given."""
    folders = [folder] if folder else [Path(place).expanduser() for place in FONT_FOLDERS]
    for place in folders:
        for name in FONT_NAMES:
            regular, bold = place / name.format("Regular"), place / name.format("Bold")
            if regular.is_file() and bold.is_file():
                return Fonts(regular, bold)
    looked = ", ".join(str(place) for place in folders)
    raise FontNotFound(
        f"no Chinese font: looked for Regular and Bold of Noto Sans CJK/SC or Source Han Sans SC "
        f"in {looked}. Install fonts-noto-cjk, or name a folder with --fonts."
    )


def load_trade(path: Path, fonts: Fonts) -> tuple[Trade, dict[str, Words]]:
    """Read one drawings.yaml: what the trade's pictures share, and each drawing's words."""
    try:
        data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        trade = Trade(data["shop"], data["slogan"], data["colours"], fonts)
        return trade, data["drawings"]
    except yaml.YAMLError as fault:
        raise DrawingFault(f"{path}: not readable as YAML: {fault}") from fault
    except KeyError as fault:
        raise DrawingFault(f"{path}: the key {fault.args[0]!r} is missing") from fault


def draw(trade: Trade, name: str, words: Words, path: Path) -> int:
    """Draw one picture beside its drawings.yaml (`path`); answers the file's size in bytes."""
    layout = LAYOUTS.get(words.get("layout", ""))
    if layout is None:
        raise DrawingFault(
            f"{path}: {name}: no layout {words.get('layout')!r}; use one of {', '.join(LAYOUTS)}"
        )
    try:
        canvas = layout(trade, words)
    except KeyError as fault:
        raise DrawingFault(f"{path}: {name}: missing or unknown: {fault.args[0]}") from fault
    size = canvas.save(path.parent / f"{name}.png")
    if size > MAX_BYTES:
        raise DrawingFault(
            f"{path}: {name}: {size} bytes, more than {MAX_BYTES}; use fewer shapes or colours"
        )
    return size


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all pictures, or only those named; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="draw only these (file names without .png)")
    parser.add_argument("--library", type=Path, default=LIBRARY, help="the library's folder")
    parser.add_argument("--fonts", type=Path, help="folder with the Regular and Bold Chinese font")
    options = parser.parse_args(arguments)
    count = total = 0
    unknown = set(options.names)
    try:
        fonts = find_fonts(options.fonts)
        for path in sorted(options.library.glob("*/images/drawings.yaml")):
            trade, drawings = load_trade(path, fonts)
            unknown -= drawings.keys()
            for name, words in drawings.items():
                if not options.names or name in options.names:
                    total += draw(trade, name, words, path)
                    count += 1
    except (FontNotFound, DrawingFault) as fault:
        print(f"draw_starter_images: {fault}", file=sys.stderr)
        return 1
    if unknown:
        print(
            f"draw_starter_images: no drawing named {', '.join(sorted(unknown))} in any "
            f"images/drawings.yaml under {options.library}",
            file=sys.stderr,
        )
        return 1
    print(f"{count} pictures, {total / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
