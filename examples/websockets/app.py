"""A websocket that knows who is calling, by header, cookie or query, and ends with the token."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect

from fastapi_patterns import Claims, LoginSessions, TokenCodec, TokenConfig, install_stack, make_current_user
from fastapi_patterns.auth import (
    CsrfProtection,
    InMemoryTokenStore,
    bearer_token,
    cookie_token,
    query_token,
)

USERS = {"1": "ada"}  # stands for your table

tokens = TokenCodec(TokenConfig.from_env())
sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)
csrf = CsrfProtection(os.environ["SECRET_KEY"], allow_origins=["https://shop.example"])


def load_user(claims: Claims) -> str | None:
    """Find the user of a token."""
    return USERS.get(claims.sub)


get_current_user = make_current_user(
    load_user,
    tokens=tokens,
    sources=[
        bearer_token(),  # programs
        cookie_token("__Host-session", csrf=csrf),  # pages: AuthCookies(...).source() is the same
        query_token("token"),  # browsers without cookies; websockets alone
    ],
    revoked=sessions.revoked,
    accept_to_refuse=True,
)
CurrentUser = Annotated[str, Depends(get_current_user)]

app = FastAPI()
install_stack(app)


@app.websocket("/chat")
async def chat(websocket: WebSocket, user: CurrentUser) -> None:
    """Echo what is said, until the client leaves or the token ends."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(f"{user}: {await websocket.receive_text()}")
    except WebSocketDisconnect:
        pass  # also when the token has ended: code 4401


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    """The same dependency in a route."""
    return {"name": user}
