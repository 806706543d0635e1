"""A client of the application's own behind an `HttpClient`: its settings are taken over, and it sends."""

from typing import Any, Final

import httpx2

__all__ = ["settings_of"]

# Not None: httpx2 would then look for a password in the URL.
_DONE_ALREADY: Final = httpx2.Auth()


def settings_of(client: httpx2.AsyncClient) -> dict[str, Any]:
    """Give the arguments for an `httpx2.AsyncClient` that does what this one does, and sends with it.

    Its authentication, redirects and cookies are done before it is reached, so that what a call says wins over them.
    """
    return {
        "auth": client.auth,
        "base_url": client.base_url,
        "cookies": httpx2.Cookies(client.cookies),  # as they are now, not those that responses bring
        "follow_redirects": client.follow_redirects,
        "headers": client.headers,
        "max_redirects": client.max_redirects,
        "params": client.params,
        "timeout": client.timeout,
        "transport": _Through(client),
        "trust_env": False,
    }


class _Through(httpx2.AsyncBaseTransport):
    """Sends with a client, which keeps its hooks and its connections, and stays open."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._client.send(request, stream=True, auth=_DONE_ALREADY, follow_redirects=False)
