"""Stands between a worker and PostgreSQL on a Unix socket, and cuts a connection exactly at a COMMIT (D2)."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Self

SOCKET = ".s.PGSQL.5432"


class CuttingProxy:
    """`cut` the nth COMMIT that passes: `before` the server hears of it, or after, before its answer comes back."""

    def __init__(self, folder: Path, upstream: str, *, nth: int, before: bool) -> None:
        self.folder, self.cuts = folder, 0
        self._upstream, self._nth, self._before = upstream, nth, before
        self._commits = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.folder / SOCKET))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            _shut(sock)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._upstream)
            thread = threading.Thread(target=self._serve, args=(client, server), daemon=True)
            self._threads.append(thread)
            self._sockets += [client, server]
            thread.start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        deaf = threading.Event()
        back = threading.Thread(target=self._to_client, args=(server, client, deaf), daemon=True)
        back.start()
        self._to_server(client, server, deaf)
        back.join()
        client.close()
        server.close()

    def _to_server(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        while data := _read(client):
            doomed = b"COMMIT" in data and self._is_the_one()
            if doomed and self._before:
                self.cuts += 1
                break
            if doomed:
                deaf.set()
            with contextlib.suppress(OSError):
                server.sendall(data)
            if doomed:
                time.sleep(0.2)  # it is committed now, and nobody will be told
                self.cuts += 1
                break
        _shut(client)
        _shut(server)

    def _to_client(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        while data := _read(server):
            if not deaf.is_set():
                with contextlib.suppress(OSError):
                    client.sendall(data)
        _shut(client)
        _shut(server)

    def _is_the_one(self) -> bool:
        with self._lock:
            self._commits += 1
            return self._commits == self._nth


def _read(source: socket.socket) -> bytes:
    try:
        return source.recv(1 << 16)
    except OSError:
        return b""


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
