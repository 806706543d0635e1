"""Run in the folder of an application, before or after a change: prints as JSON what its clients see.

The application is `main:app`. It has POST /users, POST /login, GET /me, and a user of before.
"""

import base64
import json
import os
import sys
import time
import warnings
from typing import Any

warnings.simplefilter("ignore")

from fastapi.testclient import TestClient  # noqa: E402
from jose import jwt  # noqa: E402

SECRET = os.environ["SECRET_KEY"]
KNOWN = json.loads(os.environ.get("KNOWN") or "{}")


def main() -> None:
    """Ask, and print."""
    sys.path.insert(0, os.getcwd())
    from main import app  # type: ignore[import-not-found]

    facts: dict[str, Any] = {}
    with TestClient(app, raise_server_exceptions=False) as client:

        def me(token: str) -> Any:
            return client.get("/me", headers={"Authorization": f"Bearer {token}"})

        def note(what: str, answer: Any) -> Any:
            facts[what] = [answer.status_code, answer.json() if answer.content else None]
            return answer

        users, account = KNOWN.get("users", "/users"), {"email": "ada@example.com", "password": "correct horse"}
        form = {"username": account["email"], "password": account["password"]}
        if "token" in KNOWN:
            client.post(users, json=account)  # there already, but where users are in memory
            facts["a token of before"] = me(KNOWN["token"]).status_code
            facts["a password of before"] = client.post("/login", data=form).status_code
            print(json.dumps(facts))
            return
        note("an account", client.post(users, json=account))
        login = client.post("/login", data=form)
        facts["a login"] = [login.status_code, sorted(login.json())]
        token = login.json()["access_token"]
        note("its token", me(token))
        facts["the token"] = token
        note("a wrong password", client.post("/login", data={**form, "password": "wrong"}))
        nobody = note("no token", client.get("/me"))
        facts["the challenge"] = nobody.headers.get("www-authenticate")
        facts["a request id"] = bool(nobody.headers.get("x-request-id"))
        facts["an id that was sent"] = client.get("/me", headers={"X-Request-ID": "0123456789"}).headers.get(
            "x-request-id"
        )
        facts["a body that is wrong"] = client.post(users, json={"password": "correct horse"}).status_code
        facts["the password in that answer"] = (
            "correct horse" in client.post(users, json={"password": "correct horse"}).text
        )
        claims = {**KNOWN.get("claims", {}), "sub": KNOWN.get("sub", "1")}
        note("an old token", me(jwt.encode({**claims, "exp": time.time() + 60}, SECRET, "HS256")))
        facts["an expired token"] = me(jwt.encode({**claims, "exp": time.time() - 60}, SECRET, "HS256")).status_code
        facts["a token that never ends"] = me(jwt.encode(claims, SECRET, "HS256")).status_code
        facts["a token of depth"] = me(deep(SECRET)).status_code
    print(json.dumps(facts))


def deep(secret: str) -> str:
    """Make a token that is signed well, and nested so deeply that parsers give up."""
    import hmac

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(b'{"sub":' + b"[" * 60_000 + b"]" * 60_000 + b"}")
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, "sha256"))).decode()


main()
