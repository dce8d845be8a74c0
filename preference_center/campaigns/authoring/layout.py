"""The frame of every mail, the look of one written in Markdown, and the elements and attributes a mail may hold."""

_COMMON = {"style", "class", "id", "align", "valign", "width", "height", "bgcolor", "dir", "lang", "title", "role"}
TAGS = frozenset(
    [
        "a",
        "abbr",
        "article",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "main",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "section",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
        "wbr",
    ]
)
ATTRIBUTES: dict[str, set[str]] = {
    "*": _COMMON,
    "a": {"href", "target", "name"},
    "img": {"src", "alt", "border", "hspace", "vspace"},
    "table": {"border", "cellpadding", "cellspacing", "background"},
    "td": {"colspan", "rowspan", "nowrap", "background", "scope"},
    "th": {"colspan", "rowspan", "nowrap", "background", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type", "reversed"},
    "hr": {"size", "noshade", "color"},
    "blockquote": set(),
}

_MARKDOWN = """
body { margin: 0; padding: 0; background-color: #f3f4f2; }
.frame { width: 100%; background-color: #f3f4f2; }
.edge { padding: 24px 12px; }
.sheet { width: 100%; max-width: 600px; background-color: #ffffff; border-radius: 8px; }
.page { padding: 32px; font-family: -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; font-size: 16px; line-height: 1.55; color: #1f2421; text-align: left; }
.page h1 { margin: 0 0 16px; font-size: 26px; line-height: 1.25; color: #14181a; }
.page h2 { margin: 28px 0 12px; font-size: 20px; line-height: 1.3; color: #14181a; }
.page h3 { margin: 24px 0 8px; font-size: 17px; line-height: 1.35; color: #14181a; }
.page p { margin: 0 0 16px; }
.page ul { margin: 0 0 16px; padding-left: 24px; }
.page ol { margin: 0 0 16px; padding-left: 24px; }
.page li { margin: 0 0 6px; }
.page a { color: #0b5c7a; text-decoration: underline; }
.page blockquote { margin: 0 0 16px; padding: 8px 0 1px 16px; border-left: 4px solid #c9d2ce; color: #424a46; }
.page img { display: block; max-width: 100%; height: auto; border: 0; }
.page hr { margin: 28px 0; border: 0; border-top: 1px solid #d9dfdc; }
.page code { font-family: Consolas, Menlo, monospace; font-size: 14px; background-color: #f0f2f1; }
.page pre { margin: 0 0 16px; padding: 12px; background-color: #f0f2f1; white-space: pre-wrap; }
.page blockquote p { margin: 0 0 8px; }
.page table { margin: 0 0 16px; border-collapse: collapse; }
.page th { padding: 6px 10px; border-bottom: 2px solid #c9d2ce; text-align: left; }
.page td { padding: 6px 10px; border-bottom: 1px solid #e3e8e5; }
@media (max-width: 480px) { .page { padding: 24px 20px !important; } .edge { padding: 0 !important; } }
"""  # noqa: E501 (a style sheet reads best with one rule a line)


def around(body: str) -> str:
    """The simple, responsive page that a text in Markdown is set in."""
    return (
        f"<html><head><style>{_MARKDOWN}</style></head><body>"
        '<table role="presentation" class="frame" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        '<td class="edge" align="center">'
        '<table role="presentation" class="sheet" width="600" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td class="page">{body}</td></tr></table></td></tr></table></body></html>'
    )


def document(css: str, body_style: str, body: str) -> str:
    """A whole document. Language, title, preheader and footer are put in by `content.py`, after the styles are inlined."""
    return (
        '<!doctype html><html lang="pc-language" xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">'
        '<head><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="x-apple-disable-message-reformatting"><title>pc-title</title>'
        f'<style>{css}</style></head><body style="{_attribute(body_style)}">{body}</body></html>'
    )


def preheader(text: str) -> str:
    """What a mailbox shows beside the subject: at the very start, hidden, and filled up so that no other text follows it."""
    if not text:
        return ""
    hidden = (
        "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all"
    )
    return f'<div style="{hidden}" aria-hidden="true">{text}{"&#847;&zwnj;&nbsp;" * 60}</div>'


def _attribute(value: str) -> str:
    return value.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
