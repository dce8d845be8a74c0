"""The headers on every response: what a page may load and do, where its address may go, and who may keep it (`security.md` 3.10)."""

from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request

_COMMON = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; require-trusted-types-for 'script'; report-uri /csp; report-to csp"
)
PUBLIC_POLICY = _COMMON  # no script at all: the public pages have none
CONSOLE_POLICY = (
    f"{_COMMON}; script-src 'self'; connect-src 'self'; font-src 'self'; frame-src 'self'; manifest-src 'self'"
)
_PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
YEAR = 365 * 24 * 3600


THIS_MACHINE = {"localhost", "127.0.0.1", "[::1]"}
HEALTH = {"/healthz", "/readyz", "/metrics"}  # asked for by load balancers, under whatever name they know


def init(app: Flask) -> None:
    app.before_request(refuse_other_hosts)
    app.after_request(dress)
    with app.app_context():
        app.extensions["headers"] = {console: list(wanted(console).items()) for console in (False, True)}


def refuse_other_hosts() -> None:
    """A forged Host header opens nothing (ASVS V4.1)."""
    if not names_us(request.host) and request.path not in HEALTH:
        abort(400)


def names_us(host: str) -> bool:
    """Whether this Host header means the site. Where the site is this machine's alone, such as the demo, any name will do."""
    return _names(host, current_app.extensions["settings"].public_url)


@lru_cache(maxsize=256)
def _names(host: str, public_url: str) -> bool:
    ours = urlsplit(public_url).hostname or ""
    asked = urlsplit(f"//{host}").hostname or ""
    named = {asked, f"[{asked}]"}
    return bool(named & {ours, *THIS_MACHINE} or {ours, f"[{ours}]"} & THIS_MACHINE)


def wanted(console: bool = False) -> dict[str, str]:
    """What every answer says unless its view has set a stricter one."""
    headers = {
        "Content-Security-Policy": CONSOLE_POLICY if console else PUBLIC_POLICY,
        "Reporting-Endpoints": 'csp="/csp"',
        "Referrer-Policy": "same-origin" if console else "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if current_app.extensions["settings"].public_url.startswith("https:"):
        headers["Strict-Transport-Security"] = f"max-age={YEAR}; includeSubDomains"
    return headers


def of_private_answers() -> list[tuple[str, str]]:
    """What `dress` adds to the answers that the public site makes for one person alone, or for one program."""
    return [*wanted().items(), *_PRIVATE.items()]


def dress(response: Response) -> Response:
    """Add what is missing; a view that needs a stricter header of its own has set it already."""
    headers, path = response.headers, request.path
    said = {name.lower() for name, _value in headers}
    all_of_them = current_app.extensions["headers"][path == "/admin" or path.startswith("/admin/")]
    headers.extend([header for header in all_of_them if header[0].lower() not in said])
    if request.endpoint in ("static", "public.look") and response.status_code == 200:
        # The address of a static file carries the digest of its content, so it never changes; so does that of the look.
        lasts = "v" in request.args or request.endpoint == "public.look"
        headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if lasts else "no-cache"
        return response
    headers["Cache-Control"] = _PRIVATE["Cache-Control"]
    if request.endpoint not in ("public.sign_up", None):
        headers.setdefault("X-Robots-Tag", _PRIVATE["X-Robots-Tag"])
    return response
