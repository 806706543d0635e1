"""A socket on a free port, bound here and handed to the server: nobody else can take the port in between."""

import socket

__all__ = ["HOST", "listen"]

HOST = "127.0.0.1"


def listen() -> tuple[socket.socket, str]:
    """Bind a socket to a free port, and give it with the URL of its server."""
    listening = socket.socket()
    try:
        listening.bind((HOST, 0))
    except OSError:
        listening.close()
        raise
    return listening, f"http://{HOST}:{listening.getsockname()[1]}"
