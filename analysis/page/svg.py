"""A figure as inline SVG: its text as text, its colours as the page's variables, so that it follows light and dark."""

import io
import re
import zlib
from collections import Counter
from collections.abc import Callable

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.page import figures

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unet-studies",  # the same figure gives the same file
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": figures.MUTED,
    "axes.labelcolor": figures.MUTED,
    "text.color": figures.INK,
    "xtick.color": figures.MUTED,
    "ytick.color": figures.MUTED,
    "xtick.labelcolor": figures.INK,
    "ytick.labelcolor": figures.INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": figures.RULE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "figure.constrained_layout.wspace": 0.06,
}
CSS_COLOURS = {  # colour as drawn: the page's variable, whose value follows the theme
    figures.INK: "ink",
    figures.MUTED: "muted",
    figures.RULE: "rule",
    figures.PAPER: "card",
    **{colour: name for name, colour in figures.OPTIMIZER_COLOURS.items()},
    **{colour: f"ramp{i}" for i, colour in enumerate(figures.RAMP)},
    **{colour: name for name, colour in figures.VERDICT_COLOURS.items()},
}


def render(make: Callable[[], Figure], title: str) -> str:
    """A figure as inline SVG, its text as text, its colours as the page's variables."""
    with mpl.rc_context(STYLE):
        file = io.StringIO()
        make().savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' id="[A-Za-z0-9]+_\d+"', "", svg)  # several figures share one page
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(
        r'(<svg [^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', r'\1style="max-width:\2pt" role="img"', svg, count=1
    )
    for colour, name in CSS_COLOURS.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return _slim(svg).replace(">", f"><title>{title}</title>", 1)


def shorten(page: str) -> str:
    """A whole page whose figures' classes and ids, which were hashes so that equal ones are the same, are short."""
    names: dict[str, str] = {}
    hashes = r"\b(?:s[0-9a-f]{8}|[mp][0-9a-f]{10})\b"
    return re.sub(hashes, lambda found: names.setdefault(found[0], f"{found[0][0]}{len(names):x}"), page)


def _slim(svg: str) -> str:
    """The same picture in a third of the bytes: tenths of a point, styles that recur as classes, no empty groups."""
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)  # the page's own
    svg = re.sub(r"<[^>]*>", lambda tag: _to_tenths(tag[0]), svg).replace("xlink:href", "href")
    svg = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", svg)
    svg = re.sub(r"\s+", " ", svg).replace("> <", "><")
    svg = re.sub(r'(?<= d=")[MLz\d. -]+(?=")', lambda found: _by_steps(found[0]), svg)
    mark = r"<(?:path|use|text)\b[^>]*(?:/>|>[^<]*</text>)"
    count = 1
    while count:
        svg, count = re.subn(rf"<g>((?:{mark})*)</g>", r"\1", svg)
    styles = Counter(re.findall(r' style="([^"]*)"', svg))
    rules = {style: f"s{zlib.crc32(style.encode()):08x}" for style, count in styles.items() if count > 1}
    svg = re.sub(r' style="([^"]*)"', lambda found: _as_class(found[0], rules.get(found[1])), svg)
    svg = re.sub(r'<use href="([^"]*)" [^>]*( class="[^"]*")/>(?:<use href="\1" [^>]*\2/>){2,}', _as_group, svg)
    sheet = "".join(f".{name}{{{style}}}" for style, name in rules.items())
    return svg.replace("<defs>", f"<defs><style>{sheet}</style>", 1)


def _to_tenths(tag: str) -> str:
    """Numbers of a tag; those between tags are labels, which say what they say."""
    tag = re.sub(r"(\d\d\.\d|\b\d\.\d\d)\d+", r"\1", tag)
    return re.sub(r'(?<==")(-?\d+)\.0+"', r'\1"', tag)


def _by_steps(path: str) -> str:
    """Lines from point to point, written by the steps between these, which take half the bytes; in hundredths."""
    written, before, start, here = "", "", (0, 0), (0, 0)
    words = iter(path.split())
    for command in words:
        if command == "z":
            written, before, here = written + "z", "z", start
            continue
        there = round(100 * float(next(words))), round(100 * float(next(words)))
        if command == "M":
            start, here = there, (0, 0)
        step = "".join(_hundredths(to - since) for to, since in zip(there, here, strict=True))
        written += step if command == before == "L" else command.replace("L", "l") + step.lstrip()
        before, here = command, there
    return written


def _hundredths(count: int) -> str:
    """As short as SVG takes it: a space or a minus before it, no zero before its point."""
    sign = "-" if count < 0 else " "
    whole, rest = divmod(abs(count), 100)
    digits = f".{rest:02d}".rstrip("0") if rest else ""
    return f"{sign}{whole or ('' if digits else 0)}{digits}"


def _as_group(marks: re.Match[str]) -> str:
    """Equal marks in a row, with their class said once."""
    return f"<g{marks[2]}>{marks[0].replace(marks[2], '')}</g>"


def _as_class(style: str, name: str | None) -> str:
    return f' class="{name}"' if name else style
