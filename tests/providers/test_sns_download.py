"""The one GET that goes out to Amazon: over TLS that is checked, never after a redirect, never more than it needs."""

import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from preference_center.errors import Unavailable
from preference_center.providers.parts import sns
from tests.providers.proven import NOW, amazon_key, certificate

URL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=0123"


class Answers(BaseHTTPRequestHandler):
    asked: list[str] = []
    status, body = 200, b"<ok/>"

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Answers.asked, Answers.status, Answers.body = [], 200, b"<ok/>"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def to_server(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon's host is this server, without TLS."""
    monkeypatch.setattr(
        sns, "HTTPSConnection", lambda host, timeout: HTTPConnection("127.0.0.1", server.server_port, timeout=timeout)
    )


@pytest.mark.usefixtures("to_server")
def test_it_asks_for_the_path_and_what_stands_behind_it() -> None:
    assert sns.download(URL) == (200, b"<ok/>")
    assert Answers.asked == ["/?Action=ConfirmSubscription&Token=0123"]


@pytest.mark.usefixtures("to_server")
@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed(status: int) -> None:  # S114
    Answers.status = status
    with pytest.raises(Unavailable):
        sns.confirm(URL, sns.download)
    assert len(Answers.asked) == 1


@pytest.mark.usefixtures("to_server")
def test_a_long_answer_is_cut() -> None:
    Answers.body = b"x" * 1_000_000
    assert len(sns.download(URL)[1]) == 65_536


def test_a_host_that_cannot_prove_its_name_is_not_believed(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = amazon_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "own.pem").write_bytes(key + certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]  # the handshake fails here too
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(
        sns, "HTTPSConnection", lambda host, timeout: HTTPSConnection("127.0.0.1", server.server_port, timeout=timeout)
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        sns.download(URL)
    with pytest.raises(Unavailable):
        sns.Certificates().key_of("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-00.pem", NOW)
    assert Answers.asked == []
