"""A network that stops: a loopback TCP proxy that forwards until it is told to stall, and keeps its sockets open."""

import socket
import socketserver
import threading
from contextlib import suppress
from typing import Any, Self


class StallingProxy:
    """Forwards to a port on loopback; use it as a context manager.

    Args:
        port: Where the server listens.
    """

    def __init__(self, port: int) -> None:
        self._forwards = threading.Event()
        self._forwards.set()
        self._sockets: list[socket.socket] = []
        forwards, sockets = self._forwards, self._sockets

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                    sockets.extend([self.request, server])
                    back = threading.Thread(target=_pump, args=(server, self.request, forwards), daemon=True)
                    back.start()
                    _pump(self.request, server, forwards)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def stall(self) -> None:
        """Take bytes and forward none, as a network does that drops every packet."""
        self._forwards.clear()

    def go_on(self) -> None:
        """Forward again, first what was held back."""
        self._forwards.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.go_on()
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _pump(source: socket.socket, target: socket.socket, forwards: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            forwards.wait()
            target.sendall(data)
    forwards.wait()  # the end of a connection is not forwarded either
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
