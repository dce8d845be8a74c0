"""The second form of a mail, for who agreed to be seen: each fixed https link leads by us, and one image tells of opening.

Everything else stays as it is, byte for byte. A link is named by a digest, and the frozen versions of the campaign know its address,
so none stands in a token; a link with a field of the contact in it is left alone, and so are the links for leaving.
"""

import hashlib
import re
from html import unescape

CLICK, OPEN = "PcClick", "PcOpen"  # fields of ours; an attribute begins with a small letter

_LINK = re.compile(r"""(<a\s(?:[^<>"]|"[^"]*")*?\bhref=")(https://[^"{}]*)(")""", re.IGNORECASE)
_IMAGE = f'<img src="{{{{ {OPEN} }}}}" alt="" width="1" height="1" style="border:0">'


def targets(html: str) -> dict[str, str]:
    """The links of a compiled version that lead by us, by name."""
    return {name(found[2]): unescape(found[2]) for found in _LINK.finditer(html)}


def name(written: str) -> str:
    """What a link, as it is written in the HTML, is called in our addresses."""
    return hashlib.sha256(written.encode()).hexdigest()[:12]


def followed(html: str) -> str:
    """The compiled version with its links leading by us, and the image at its end."""
    made = _LINK.sub(lambda found: f"{found[1]}{{{{ {CLICK} }}}}{name(found[2])}{found[3]}", html)
    end = made.rfind("</body>")
    return made[:end] + _IMAGE + made[end:]
