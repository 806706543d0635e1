"""A transport that reaches the network while `mock_http` is active: for clients of the test, not the application."""

import httpx2

__all__ = ["DirectTransport", "direct_transport"]


class DirectTransport(httpx2.HTTPTransport):
    """What `mock_http` knows by its class, and leaves alone."""


def direct_transport() -> httpx2.HTTPTransport:
    """Make a transport for a client that `mock_http` must not touch: `httpx2.Client(transport=direct_transport())`."""
    return DirectTransport()
