"""The driver behind the figures of the pages: it ends, whatever the server does."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from bench import pages

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *told: object) -> None:
        """Tests say nothing."""


@pytest.mark.parametrize("count", [0, 3, 20])
def test_every_request_is_answered_however_few_there_are(count: int) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert pages._ask_all(server.server_port, iter([REQUEST] * count), 8, None) == count
        server.shutdown()


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"])
def test_a_server_that_hangs_up_is_named(begun: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(begun)
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError, match="hung up"):
            pages._answer(near)
