"""What rules can do for a text without understanding it: fillers, opening, tone, emoji, length."""

import re
from collections.abc import Sequence

from lanmu_llm_copy.glyphs import EMOJI
from lanmu_llm_copy.mask import Masked
from lanmu_llm_copy.phrasebook import Phrasebook
from lanmu_llm_copy.sentences import clauses, split, tidy

_TOKEN = re.compile(r"⟦F\d+⟧")
# 免费, 不叠加, 限时 and their like bind as a number does, so their sentence stays too.
_BINDING = re.compile(
    r"免费|包邮|赠|红包|返现|抽奖|礼包|礼盒|券|特价|打折|门槛|退|换货|叠加|同享|不含|包含|除外|仅限|只限|预约|质保|运费|"
    r"今[天日晚早]|明[天日晚早]|后天|本周|下周|本月|免邮|双倍|终身|无需|小样|好礼|福袋"
)
_CALL = re.compile(
    r"点击|点开|戳|下单|扫码|长按|报名|抢购|抢|领取|预约|私信|私聊|加我|回复|回我|拍下|购买链接|联系我|问我|联系客服|咨询|"
    r"收藏|群里(?:说|聊|告诉)|留言|评论|冒泡|来聊|告诉我"
)
_ASKS = re.compile(
    r"回复|回群里|回一[句声个]|群里(?:说|聊|问|告诉|见|发|报|喊|打|晒)|发(?:到|在|进)?群里|发给我|评论|留言|说说你|告诉我|扫码|点击|"
    r"报名|下单|来聊|接龙|打卡|举手|投票|晒一?[晒张]|[？?]\s*$"
)
_URGE = re.compile(
    r"^(?:赶紧|快来?|记得|欢迎|现在就?|马上|立即|别忘了|有(?:需要|兴趣|疑问|问题)的?|想.{0,6}的|点|戳|扫|回复|长按|私信|需要的)"
)
_LISTED = re.compile(r"[（(]?\d{1,2}[)）、.．]|[①-⑳·•▪-]|[一二三四五六七八九十]、")


def is_fixed(sentence: str) -> bool:
    """Does this masked sentence carry something that must not be lost?"""
    return bool(_TOKEN.search(sentence) or _BINDING.search(sentence))


def asks_already(text: str) -> bool:
    """Does the text end by asking something of the reader, in whatever form?"""
    bare = EMOJI.sub("", text).strip()
    return bool(_ASKS.search(bare[-90:]))


def header_of(text: str) -> tuple[str, str]:
    """A headline that stands on a line of its own ("" without one), and the rest."""
    head, _mark, rest = text.partition("\n")
    if rest.strip() and len(_TOKEN.sub("店名", head)) <= 24 and not re.search(r"[。！？!?；：:，,]", head):
        return head.strip(), rest.lstrip("\n")
    return "", text


def is_call(sentence: str) -> bool:
    """Does this sentence ask the reader to do something now?"""
    bare = EMOJI.sub("", sentence).strip()
    if _LISTED.match(bare):
        return False  # a step of a list is part of the text, whatever it asks for
    return bool(_CALL.search(bare)) and (len(bare) <= 24 or bool(_URGE.search(bare)))


def drop_fillers(text: str, book: Phrasebook) -> str:
    """Without the phrases that say nothing; where only they were left, the text stays as it was."""
    shorter = text
    for pattern in book.drop:
        shorter = pattern.sub("", shorter)
    for pattern, new in book.squeeze:
        shorter = pattern.sub(new, shorter)
    shorter = tidy(shorter)
    return shorter if len(shorter) >= min(8, len(text)) else text


def take_opening(text: str, book: Phrasebook) -> tuple[str, str, bool]:
    """The name placeholder of a stiff opening ("" without one), the rest, and whether there was one."""
    match = book.stiff.match(text)
    if match is None or not match[0].strip() or (match[0].strip() == match[0] and len(match[0]) < 2):
        return "", text, False
    who = next((value for value in match.groupdict().values() if value), "")
    rest = text[match.end() :].lstrip("，,。！! \n")
    if not rest or len(_TOKEN.findall(match[0])) > (1 if who else 0):
        return "", text, False
    return who, rest, True


def paragraphs(text: str) -> str:
    """Long lines broken between sentences, so that a phone shows no wall of text."""
    lines = []
    for line in text.split("\n"):
        if len(line) <= 60:
            lines.append(line)
            continue
        row = ""
        for sentence in split(line):
            if len(row) >= 24 and len(row) + len(sentence) > 44:
                lines.append(row.strip())
                row = ""
            row += sentence
        if row.strip():
            lines.append(row.strip())
    return "\n".join(lines)


def set_tone(text: str, tone: str, book: Phrasebook) -> str:
    """Words of the wanted tone, from whitelisted pairs alone."""
    parts = re.split(r"(⟦F\d+⟧)", text)
    for swap in book.tones.get(tone, ()):
        parts = [part if part.startswith("⟦") else swap.apply(part) for part in parts]
    text = "".join(parts)
    if tone == "formal":
        text = book.particles.sub("", text)
        text = re.sub(r"[～~]+(?=[。！？\n]|$)", "", text)
        text = re.sub(r"[～~]+", "，", text)
        text = re.sub(r"(?<=[\w⟧])(?=\n|$)", "。", text) if re.search(r"[。！]", text) else text
    return _calm(text, 0 if tone == "formal" else 2 if tone == "warm" else 3)


def one_call(sentences: Sequence[str]) -> tuple[list[str], bool]:
    """At most one call to action, the last; the others go where they carry no fact.

    Answers the sentences and whether a call is left.
    """
    calls = [n for n, sentence in enumerate(sentences) if is_call(sentence)]
    if not calls:
        return list(sentences), False
    fixed = [n for n in calls if is_fixed(sentences[n])]
    keep = {(fixed or calls)[-1], *fixed}
    return [s for n, s in enumerate(sentences) if n not in calls or n in keep], True


def set_emoji(text: str, tone: str, book: Phrasebook, pick: int) -> str:
    """As many emoji as the tone takes, at the ends of lines, each fitting its line and none twice."""
    limit = min(book.most.get(tone, 3), round(len(text) * book.density.get(tone, 1.5) / 100 + 0.5))
    if tone == "formal":
        limit = 0
    count = 0
    seen: set[str] = set()

    def keep(match: re.Match[str]) -> str:
        nonlocal count
        if count >= limit or match[0] in seen:
            return ""
        count += 1
        seen.add(match[0])
        return match[0]

    text = tidy(EMOJI.sub(keep, text))
    lines = text.split("\n")
    order = sorted(range(len(lines)), key=lambda n: (n not in {0, len(lines) - 1}, n))
    for number in order:
        line = lines[number]
        if count >= limit or not line.strip() or EMOJI.search(line) or line.endswith(("：", ":", "⟧")):
            continue
        picture = next((p for words, p in book.scenes if p not in seen and words.search(line)), "")
        if not picture and number in {0, len(lines) - 1} and tone in book.fallback:
            choice = book.fallback[tone]
            picture = next((p for p in (*choice[pick % len(choice) :], *choice) if p not in seen), "")
        if picture:
            lines[number] = f"{line} {picture}" if line[-1].isascii() else line + picture
            seen.add(picture)
            count += 1
    return "\n".join(lines)


def shorten(text: str, masked: Masked, byte_limit: int, book: Phrasebook) -> str:
    """The text within `byte_limit` UTF-8 bytes, or as near to it as whole clauses without facts allow.

    What goes first: asides in brackets, then sentences without a fact from the longest on, then clauses.
    Nothing is ever cut inside, so no placeholder, link or emoji breaks.
    """

    def size(candidate: str) -> int:
        return len(masked.restore(candidate).encode())

    if size(text) <= byte_limit:
        return text
    text = book.aside.sub("", text)
    pieces = split(text)
    while size("".join(pieces)) > byte_limit:
        spare = [n for n, piece in enumerate(pieces) if not is_fixed(piece) and n != 0] or [
            n for n, piece in enumerate(pieces) if not is_fixed(piece)
        ]
        if not spare or len(pieces) == 1:
            break
        over = size("".join(pieces)) - byte_limit
        enough = [n for n in spare if len(pieces[n].encode()) >= over]
        victim = (
            min(enough, key=lambda n: len(pieces[n])) if enough else max(spare, key=lambda n: len(pieces[n]))
        )
        tail = "\n" if pieces[victim].endswith("\n") and victim else ""
        if tail and not pieces[victim - 1].endswith("\n"):
            pieces[victim - 1] += tail
        del pieces[victim]
    parts = [clause for piece in pieces for clause in clauses(piece)]
    while size("".join(parts)) > byte_limit:
        loose = [n for n, part in enumerate(parts) if not is_fixed(part) and part.strip()]
        if not loose or len(parts) == 1:
            break
        del parts[max(loose, key=lambda n: len(parts[n]))]
    return tidy("".join(parts))


def _calm(text: str, most: int) -> str:
    """At most so many exclamation marks; the first ones stay, the others become full stops."""
    count = 0

    def keep(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return "！" if count <= most else "。"

    return re.sub(r"[！!]+(?!\[)", keep, text)
