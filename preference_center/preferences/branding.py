"""The look of the public pages: the owner's colours and corners, made into eight custom properties that everybody can read.

Contrast is checked when the look is saved (WCAG 2.2, 1.4.3 and 1.4.11). A colour that fails is moved towards black or white just as
far as needed, and that is reported; it is never refused, and never left unreadable.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from preference_center import clock
from preference_center.db import db
from preference_center.errors import Invalid
from preference_center.preferences.models import Brand

THEMES = ("light", "dark")
COLOURS = ("accent", "paper", "card", "ink")
CORNERS = {"round": "0.75rem", "soft": "0.375rem", "square": "0rem"}
TEXT, CONTROL = 4.5, 3.0  # the least contrast of words, and of the edge of a control

# ours, as in static/css/tokens.css: what is not chosen, and what stands on the owner's grounds whatever is chosen
_OURS = {
    "light": {"accent": "#2f43c8", "paper": "#f5f6f9", "card": "#ffffff", "ink": "#14171f"},
    "dark": {"accent": "#aab6ff", "paper": "#0f1116", "card": "#181b22", "ink": "#eef0f5"},
}
_WORDS_ON_GROUNDS = {
    "light": ("#535b6c", "#14693f", "#7d4e00", "#ae2018"),  # soft ink, good, warn, bad
    "dark": ("#a7aebd", "#7fd6a5", "#f0c271", "#ff9d94"),
}
_EDGES = {"light": "#7b8496", "dark": "#767f92"}
_NOTICES = {"light": ("#e5f4ec", "#fdf2dc", "#fdebe9"), "dark": ("#15301f", "#35280f", "#3d1a18")}
_FAR = {"light": "#000000", "dark": "#ffffff"}  # where words go for more contrast; grounds go the other way
_SOFT = {"light": 0.1, "dark": 0.18}  # how much of the accent is in its soft ground


@dataclass(frozen=True)
class Correction:
    """A colour that could not be read where it stands, and what was made of it."""

    theme: str
    colour: str
    asked: str
    used: str


@dataclass(frozen=True)
class Look:
    """A look that can be read: its properties by theme, and what had to be changed for that."""

    properties: dict[str, dict[str, str]]
    radius: str
    corrections: list[Correction]

    @property
    def css(self) -> str:
        both = {name: f"light-dark({light}, {self.properties['dark'][name]})" for name, light in self._light.items()}
        # Browsers from before 2024 do not know light-dark(): they get the light theme, as in tokens.css.
        old = f"@supports not (color: light-dark(#000, #fff)) {{ {_root(self._light)} }}"
        return f"{_root(both | {'radius': self.radius})}\n{old}\n"

    @property
    def _light(self) -> dict[str, str]:
        return self.properties["light"]


def _root(properties: Mapping[str, str]) -> str:
    lines = " ".join(f"--{name}: {value};" for name, value in properties.items())
    return f"@layer tokens {{ :root {{ {lines} }} }}"


def current() -> Brand | None:
    return db.session.get(Brand, 1)


def save(name: str, chosen: Mapping[str, str]) -> Look:
    """`chosen`: `accent`, `accent-dark` and so on as #rrggbb or empty, and `corners`. Empty is ours."""
    faults = {}
    if len(name) > 80:
        faults["name"] = "Use 80 characters at most."
    kept = {key: value.strip().lower() for key, value in chosen.items() if value.strip()}
    for key, value in kept.items():
        if key != "corners" and not re.fullmatch(r"#[0-9a-f]{6}", value):
            faults[key] = "Write a colour as # and six digits, such as #2f43c8."
    if kept.get("corners", "round") not in CORNERS:
        faults["corners"] = f"Choose one of: {', '.join(CORNERS)}."
    if unknown := set(kept) - {*choosable(), "corners"}:
        faults["colours"] = f"There is no such colour: {', '.join(sorted(unknown))}."
    if faults:
        raise Invalid("The look was not saved. " + " ".join(faults.values()), faults)
    look = made_of(kept)
    brand = current() or Brand(id=1)
    brand.name, brand.chosen, brand.changed_at = name.strip(), kept, clock.now()
    brand.css = look.css if kept else ""
    brand.digest = hashlib.sha256(brand.css.encode()).hexdigest()[:16] if kept else ""
    db.session.add(brand)
    db.session.flush()
    return look


def choosable() -> list[str]:
    return [name for colour in COLOURS for name in (colour, f"{colour}-dark")]


def made_of(chosen: Mapping[str, str]) -> Look:
    """Pure: the readable look nearest to what was chosen."""
    properties, corrections = {}, []
    for theme in THEMES:
        ending = "-dark" if theme == "dark" else ""
        asked = {colour: chosen.get(colour + ending) or _OURS[theme][colour] for colour in COLOURS}
        properties[theme] = used = _readable(theme, asked)
        corrections += [Correction(theme, c, asked[c], used[c]) for c in COLOURS if used[c] != asked[c]]
    return Look(properties, CORNERS[chosen.get("corners") or "round"], corrections)


def _readable(theme: str, asked: Mapping[str, str]) -> dict[str, str]:
    far, near = _FAR[theme], _FAR["dark" if theme == "light" else "light"]
    paper, card = (
        _moved(asked[ground], near, _WORDS_ON_GROUNDS[theme], TEXT, (_EDGES[theme],)) for ground in ("paper", "card")
    )
    accent = _moved(asked["accent"], far, (paper, card), TEXT)
    while accent != far and contrast(accent, _soft(accent, card, theme)) < TEXT:
        accent = _moved(mixed(accent, far, 0.04), far, (paper, card), TEXT)
        accent = accent if contrast(accent, far) > 1.1 else far
    ink = _moved(asked["ink"], far, (paper, card, _soft(accent, card, theme), *_NOTICES[theme]), TEXT)
    strong = mixed(accent, far, 0.2)
    on_accent = max(("#ffffff", "#10163a"), key=lambda colour: min(contrast(colour, accent), contrast(colour, strong)))
    if contrast(on_accent, accent) < TEXT:
        on_accent = "#000000"  # what is too bright for white and too dark for our navy reads well under black
    if contrast(on_accent, strong) < TEXT:
        strong = accent
    return {
        "accent": accent,
        "accent-strong": strong,
        "accent-ink": on_accent,
        "accent-soft": _soft(accent, card, theme),
        "paper": paper,
        "card": card,
        "ink": ink,
    }


def _soft(accent: str, card: str, theme: str) -> str:
    return mixed(card, accent, _SOFT[theme])


def _moved(colour: str, towards: str, others: Iterable[str], least: float, edges: Iterable[str] = ()) -> str:
    """The colour itself, or the first on its way to black or white that can be told from all the others."""
    for step in range(51):
        found = mixed(colour, towards, step / 50)
        if all(contrast(found, other) >= least for other in others) and all(
            contrast(found, edge) >= CONTROL for edge in edges
        ):
            return found
    return towards


def mixed(one: str, other: str, share: float) -> str:
    """`one` with this share of `other` in it."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast(one: str, other: str) -> float:
    """From 1 to 21, as WCAG 2.2 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
