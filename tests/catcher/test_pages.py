"""The inbox pages: what they show, what a mail's own HTML may not do, and the one-click button against a real listener."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from preference_center.catcher import pages
from preference_center.catcher.store import Caught, Inbox
from tests.conftest import make_settings

MAIL = """\
From: Shop <news@example.com>\r
To: anna@example.org\r
Subject: Spring <b>news</b>\r
List-Unsubscribe: <{url}>, <mailto:u@example.com>\r
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary=x\r
\r
--x\r
Content-Type: text/plain; charset=utf-8\r
\r
Zażółć: https://example.com/a <script>\r
--x\r
Content-Type: text/html; charset=utf-8\r
\r
<html><head><title>t</title></head><body><script>alert(1)</script><a href="https://example.com/">See</a></body></html>\r
--x--\r
"""


class Listener(http.server.BaseHTTPRequestHandler):
    heard: list[tuple[str, str, str | None, str | None]] = []
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.heard.append((self.path, body, self.headers.get("Content-Type"), self.headers.get("Cookie")))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"You are unsubscribed.")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site_url() -> Iterator[str]:
    Listener.heard, Listener.status = [], 200
    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(tmp_path: Path, site_url: str) -> FlaskClient:
    Inbox(tmp_path / "inbox").keep(
        [
            Caught("b@example.com", ("anna@example.org",), MAIL.format(url=f"{site_url}/u/token").encode()),
            Caught(
                "b@example.com", ("bert@example.org",), MAIL.format(url="https://elsewhere.example.com/u/t").encode()
            ),
        ]
    )
    app = pages.site(make_settings(tmp_path, "sqlite://", public_url=site_url))
    return app.test_client()


def test_the_list_shows_mails_newest_first_and_finds_by_address(client: FlaskClient) -> None:
    page = client.get("/").text
    assert page.index("bert@example.org") < page.index("anna@example.org")
    assert "Spring &lt;b&gt;news&lt;/b&gt;" in page and "2 mails were caught." in page
    assert "bert@" not in client.get("/?to=anna").text
    assert "No mail to an address that begins so" in client.get("/?to=nobody").text


def test_an_empty_inbox_says_what_to_do(tmp_path: Path) -> None:
    app = pages.site(make_settings(tmp_path, "sqlite://"))
    assert "No mail yet" in app.test_client().get("/").text


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("text", 'Zażółć: <a href="https://example.com/a" rel="noopener noreferrer" target="_blank">'),
        ("headers", '<th scope="row">List-Unsubscribe-Post</th>'),
        ("source", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("html", '<iframe class="card shown"'),
        ("nonsense", "Zażółć"),
    ],
)
def test_a_mail_is_shown_in_each_way(client: FlaskClient, view: str, shown: str) -> None:
    page = client.get(f"/mail/1?as={view}").text
    assert shown in page and "<script" not in page


def test_a_mails_own_html_may_only_be_looked_at(client: FlaskClient) -> None:
    shown = client.get("/mail/1/html")
    assert '<head><base target="_blank">' in shown.text
    policy = shown.headers["Content-Security-Policy"]
    assert "sandbox allow-popups" in policy and "allow-scripts" not in policy and "default-src 'none'" in policy
    assert shown.headers["Referrer-Policy"] == "no-referrer"


def test_there_is_no_mail_with_another_number(client: FlaskClient) -> None:
    assert client.get("/mail/99").status_code == client.get("/mail/99/html").status_code == 404


def test_the_button_posts_as_a_mailbox_provider_does(client: FlaskClient) -> None:
    """RFC 8058 3.2: one field, no cookie (S30, S32)."""
    done = client.post("/mail/1/one-click")
    assert done.status_code == 200 and "this person has left" in done.text and "You are unsubscribed." in done.text
    assert Listener.heard == [("/u/token", "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded", None)]


def test_the_button_says_when_the_site_refused(client: FlaskClient) -> None:
    Listener.status = 410
    done = client.post("/mail/1/one-click")
    assert done.status_code == 502 and "The site answered 410" in done.text


def test_there_is_no_button_for_another_site_and_nothing_is_posted_there(client: FlaskClient) -> None:
    assert "one-click" not in client.get("/mail/2").text
    assert client.post("/mail/2/one-click").status_code == 502 and Listener.heard == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Host": "evil.example.com"},
    ],
    ids=str,
)
def test_another_site_cannot_press_the_button(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/mail/1/one-click", headers=headers).status_code == 403
    assert Listener.heard == []


def test_looking_writes_nothing(client: FlaskClient, tmp_path: Path) -> None:
    before = (tmp_path / "inbox" / "inbox.db").read_bytes()
    for address in ("/", "/?to=a", "/mail/1", "/mail/1?as=source", "/mail/1/html", "/mail/1/one-click"):
        client.get(address)
        client.head(address)
    assert (tmp_path / "inbox" / "inbox.db").read_bytes() == before and Listener.heard == []
