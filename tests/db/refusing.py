"""A server that speaks enough of PostgreSQL's protocol to refuse every connection, with a SQLSTATE and words."""

import socket
import threading
from typing import Self

_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104


class RefusingServer:
    """Answers each start-up message with one error.

    Args:
        sqlstate: The code.
        message: The server's free text.
    """

    def __init__(self, sqlstate: str, message: str) -> None:
        fields = (b"SFATAL", b"VFATAL", b"C" + sqlstate.encode(), b"M" + message.encode())
        body = b"\0".join(fields) + b"\0\0"
        self._answer = b"E" + (len(body) + 4).to_bytes(4, "big") + body
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """The URL of a database on it, without a driver."""
        return f"postgresql://app:hunter2@127.0.0.1:{self._listener.getsockname()[1]}/shop"

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._refuse(connection)

    def _refuse(self, connection: socket.socket) -> None:
        while length := int.from_bytes(connection.recv(4), "big"):
            code = int.from_bytes(connection.recv(length - 4)[:4], "big")
            if code not in (_SSL_REQUEST, _GSS_REQUEST):
                connection.sendall(self._answer)
                return
            connection.sendall(b"N")
