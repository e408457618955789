"""Characters that hide or vary: invisible ones are dropped, wide ones folded, emoji taken whole."""

import re
import unicodedata

# Zero-width, bidi controls, soft hyphen, tags and other format characters that a reader does not see.
# U+200D stays: it glues one emoji together. U+FE0F stays for the same reason.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# One emoji with all that belongs to it: flags, keycaps, skin tones, families glued by U+200D.
_PICTURE = (
    "[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa"
    "\U0001f400-\U0001faff]"
)
_PIECE = f"{_PICTURE}\ufe0f?[\U0001f3fb-\U0001f3ff]?"
EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f\u20e3|{_PIECE}(?:\u200d{_PIECE})*")
CLUSTER = re.compile(f"{EMOJI.pattern}|\r\n|.[\u0300-\u036f\ufe0e\ufe0f\u20d0-\u20ff]*", re.DOTALL)

_FOLD = {
    **{chr(0xFF10 + n): str(n) for n in range(10)},
    **{chr(0xFF21 + n): chr(65 + n) for n in range(26)},
    **{chr(0xFF41 + n): chr(97 + n) for n in range(26)},
    **dict(zip("％￥：．／－～＋＠＃﹪∶", "%¥:./-~+@#%:", strict=True)),
}
_FOLD_TABLE = str.maketrans(_FOLD)


def clean(text: str) -> str:
    """The text without characters that a reader cannot see and a checker must not stumble over."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    return _CONTROL.sub("", _INVISIBLE.sub("", text))


def fold(text: str) -> str:
    """Wide digits, letters and the signs of numbers as narrow ones; the length does not change.

    The wide comma and full stop stay wide: 满199，30分钟 holds no number 199,30.
    """
    return text.translate(_FOLD_TABLE)


def clusters(text: str) -> list[str]:
    """The text in pieces that must not be cut: a letter with its marks, an emoji with its parts."""
    return CLUSTER.findall(text)


def searchable(text: str, simplify: dict[str, str]) -> tuple[str, list[int]]:
    """A form of the text for term search, and for each of its characters the place in the original.

    Compatibility forms are folded (NFKC), Latin is lower-cased, traditional characters become simplified
    ones, and what stands between two Han characters only to split a word (最*佳, 最 佳) is dropped.
    """
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        if _INVISIBLE.match(char):
            continue
        if char < "\x80":
            chars.append(char.lower())
            places.append(place)
            continue
        for part in unicodedata.normalize("NFKC", char).lower():
            chars.append(simplify.get(part, part))
            places.append(place)
    kept: list[str] = []
    kept_places: list[int] = []
    size = len(chars)
    index = 0
    while index < size:
        char = chars[index]
        if char in _SPLITTERS and kept and _is_han(kept[-1]):
            after = index + 1
            while after < size and chars[after] in _SPLITTERS and after - index < 3:
                after += 1
            if after < size and _is_han(chars[after]):
                index = after
                continue
        kept.append(char)
        kept_places.append(places[index])
        index += 1
    return "".join(kept), kept_places


_SPLITTERS = frozenset(" *·.-_/|~^+=•`'\"#&")


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf"
