"""A websocket of an application with an async database: `client` has the event loop, `client.portal` calls into it."""

from fastapi.testclient import TestClient

from examples.websockets_and_users.app import User, database, tokens


async def make_user() -> int:
    """A row for the test, on its transaction."""
    async with database.session_scope() as session:
        user = User(name="ada")
        session.add(user)
        await session.flush()
        return user.id


def test_a_user_talks(client: TestClient) -> None:
    """The row is there for the loader and for the route."""
    assert client.portal is not None
    headers = {"Authorization": f"Bearer {tokens.encode({'sub': client.portal.call(make_user)})}"}
    with client.websocket_connect("/chat", headers=headers) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "ada: hello"
