"""Drives the running service as a client would, one line a step; any surprise ends in a non-zero exit."""

import secrets
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

from fastapi_patterns import TokenCodec, TokenConfig

ALLOWED, FOREIGN = "http://localhost:5173", "https://evil.example"
# New addresses each time, so that a walk on a database that is kept can be taken again.
_RUN = secrets.token_hex(4)
ADA = {"email": f"ada-{_RUN}@example.com", "name": "Ada", "password": "correct horse battery staple"}
EVE = {"email": f"eve-{_RUN}@example.com", "name": "Eve", "password": "three sad tigers"}

Check = Callable[[httpx2.Response], bool]


class Walk:
    """The steps that were taken, and how many went as expected."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        self.surprises = 0
        self.steps = 0

    def step(self, what: str, method: str, path: str, *, status: int, check: Check | None = None, **sent: Any) -> Any:
        """Send a request, print what came back, and return its JSON."""
        started = time.perf_counter()
        answer = self.client.request(method, path, **sent)
        took = time.perf_counter() - started
        self.steps += 1
        good = answer.status_code == status and (check is None or check(answer))
        self.surprises += not good
        mark = "ok  " if good else "FAIL"
        print(f"{mark} {what:<42} {method:<7} {path:<24} {answer.status_code}  {took * 1000:6.1f} ms")
        if not good:
            print(f"     expected {status}; got {answer.text[:200]}")
        # FastAPI names a media type for an answer without a body, too.
        is_json = answer.content and answer.headers.get("content-type", "").endswith("json")
        return answer.json() if is_json else None


def walk(url: str, secret_key: str, admin: tuple[str, str], mails: Path, log: Path) -> int:
    """Take every step and show the log that the service wrote; 0 when nothing surprised.

    Args:
        url: Where the service is.
        secret_key: The service's own, to sign a token that has expired.
        admin: E-mail and password of an administrator.
        mails: The folder that its mails go to.
        log: The file that the service logs to.
    """
    with httpx2.Client(base_url=url, timeout=10) as client:
        taken = Walk(client)
        _accounts(taken, TokenCodec(TokenConfig(secret_key=secret_key)))
        _administrator(taken, *admin)
        _sessions(taken)
        headers = _links(taken, mails)
        _notes_and_errors(taken, headers)
        _upstream(taken)
        _cors(taken)
    print(f"\n{taken.steps} steps, {taken.surprises} surprises. The service's log:\n")
    lines = log.read_text().splitlines()
    wanted = ("GET ", "POST ", "OPTIONS ", '"message":"GET ', '"message":"POST ', '"message":"OPTIONS ', "service.mail")
    shown = [line for line in lines if any(word in line for word in wanted)]
    print("\n".join(f"  {line}" for line in shown))
    return 1 if taken.surprises else 0


def _accounts(taken: Walk, tokens: TokenCodec) -> None:
    taken.step("register", "POST", "/auth/register", json=ADA, status=201, check=lambda a: "password" not in a.text)
    login = {"username": ADA["email"], "password": ADA["password"]}
    token = taken.step("log in", "POST", "/auth/login", data=login, status=200)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    taken.step("who am I", "GET", "/me", headers=headers, status=200, check=lambda a: a.json()["email"] == ADA["email"])
    taken.step("without a token", "GET", "/me", status=401, check=lambda a: a.headers["www-authenticate"] == "Bearer")
    wrong = {**login, "password": "wrong"}
    taken.step("a wrong password", "POST", "/auth/login", data=wrong, status=401, check=_is_detail)
    expired = tokens.encode({"sub": 1}, expires_delta=timedelta(minutes=-5))
    taken.step("an expired token", "GET", "/me", headers={"Authorization": f"Bearer {expired}"}, status=401)
    head, payload, signature = token.split(".")
    changed = "A" if signature[0] != "A" else "B"
    tampered = f"{head}.{payload}.{changed}{signature[1:]}"
    taken.step("a tampered token", "GET", "/me", headers={"Authorization": f"Bearer {tampered}"}, status=401)
    taken.step("not an administrator", "GET", "/admin/users", headers=headers, status=403)
    weak = {**ADA, "email": f"weak-{_RUN}@example.com", "password": "hunter2"}
    taken.step("a password that is too short", "POST", "/auth/register", json=weak, status=422)


def _administrator(taken: Walk, email: str, password: str) -> None:
    login = {"username": email, "password": password}
    token = taken.step("an administrator logs in", "POST", "/auth/login", data=login, status=200)["access_token"]
    taken.step(
        "and lists the users",
        "GET",
        "/admin/users",
        headers={"Authorization": f"Bearer {token}"},
        status=200,
        check=lambda a: {email, ADA["email"]} <= {user["email"] for user in a.json()} and "password" not in a.text,
    )


def _sessions(taken: Walk) -> None:
    login = {"username": ADA["email"], "password": ADA["password"]}
    first = taken.step("log in again", "POST", "/auth/login", data=login, status=200)
    old = {"refresh_token": first["refresh_token"]}
    second = taken.step("refresh", "POST", "/auth/refresh", json=old, status=200)
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    taken.step("the new access token", "GET", "/me", headers=headers, status=200)
    taken.step("the refresh token a second time", "POST", "/auth/refresh", json=old, status=401)
    taken.step("which has ended the session", "GET", "/me", headers=headers, status=401)
    third = taken.step("log in once more", "POST", "/auth/login", data=login, status=200)
    token = {"refresh_token": third["refresh_token"]}
    taken.step("log out", "POST", "/auth/logout", json=token, status=204)
    headers = {"Authorization": f"Bearer {third['access_token']}"}
    taken.step("an access token after the logout", "GET", "/me", headers=headers, status=401)
    both = [
        taken.step(f"log in, {where}", "POST", "/auth/login", data=login, status=200) for where in ("here", "there")
    ]
    here, there = ({"Authorization": f"Bearer {each['access_token']}"} for each in both)
    taken.step("log out everywhere", "POST", "/auth/logout-all", headers=here, status=204)
    taken.step("and there is nobody left", "GET", "/me", headers=there, status=401)


def _links(taken: Walk, mails: Path) -> Mapping[str, str]:
    login = {"username": ADA["email"], "password": ADA["password"]}
    session = taken.step("a session", "POST", "/auth/login", data=login, status=200)
    link = _mailed(mails, "Welcome")
    taken.step("confirm the address by mail", "POST", "/auth/email/check", json={"token": link}, status=204)
    path = "/auth/password/forgotten"
    nobody = {"email": f"nobody-{_RUN}@example.com"}
    same = taken.step("forgotten, by nobody", "POST", path, json=nobody, status=202)
    me = {"email": ADA["email"]}
    taken.step("forgotten: the same answer", "POST", path, json=me, status=202, check=lambda a: a.json() == same)
    new = {"token": _mailed(mails, "A new password"), "password": "a tiger is no horse"}
    taken.step("a new password", "POST", "/auth/password/reset", json=new, status=204)
    taken.step("the link a second time", "POST", "/auth/password/reset", json=new, status=400, check=_is_error)
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    taken.step("the session from before", "GET", "/me", headers=headers, status=401)
    taken.step("the old password", "POST", "/auth/login", data=login, status=401)
    login["password"] = new["password"]
    token = taken.step("the new password", "POST", "/auth/login", data=login, status=200)["access_token"]
    return {"Authorization": f"Bearer {token}"}


def _mailed(mails: Path, subject: str) -> str:
    """Wait for the mail to Ada, which is sent after the response, and take the link out of it."""
    head = f"To: {ADA['email']}\nSubject: {subject}\n"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for path in mails.glob("*.txt"):
            text = path.read_text()
            if text.startswith(head) and text.endswith("\n"):
                return text.split()[-1]
        time.sleep(0.02)
    return "no mail came"


def _notes_and_errors(taken: Walk, headers: Mapping[str, str]) -> None:
    note = taken.step("write a note", "POST", "/notes", headers=headers, json={"text": "buy milk"}, status=201)
    path = f"/notes/{note['id']}"
    taken.step("read it", "GET", path, headers=headers, status=200, check=lambda a: a.json() == note)
    taken.step("somebody else registers", "POST", "/auth/register", json=EVE, status=201)
    login = {"username": EVE["email"], "password": EVE["password"]}
    token = taken.step("and logs in", "POST", "/auth/login", data=login, status=200)["access_token"]
    eve = {"Authorization": f"Bearer {token}"}
    taken.step("another user's note", "GET", path, headers=eve, status=404, check=_is_error)
    bad = {"email": "nonsense", "password": "hunter2hunter2"}
    taken.step(
        "a validation error, without the input",
        "POST",
        "/auth/register",
        json=bad,
        status=422,
        check=lambda a: "hunter2" not in a.text and a.json()["errors"][0]["field"] == "body.email",
    )
    taken.step("an address that is taken", "POST", "/auth/register", json=ADA, status=409, check=_is_error)


def _upstream(taken: Walk) -> None:
    taken.step("the upstream is up", "GET", "/joke", status=200)
    taken.step("the upstream is slow", "GET", "/joke?mode=slow", status=504, check=_is_error)
    taken.step("the upstream is down", "GET", "/joke?mode=down", status=502, check=_is_error)


def _cors(taken: Walk) -> None:
    def preflight(origin: str) -> dict[str, str]:
        return {"Origin": origin, "Access-Control-Request-Method": "GET"}

    taken.step(
        "preflight from an allowed origin",
        "OPTIONS",
        "/me",
        headers=preflight(ALLOWED),
        status=200,
        check=lambda a: a.headers["access-control-allow-origin"] == ALLOWED,
    )
    taken.step(
        "preflight from a foreign origin",
        "OPTIONS",
        "/me",
        headers=preflight(FOREIGN),
        status=400,
        check=lambda a: "access-control-allow-origin" not in a.headers,
    )


def _is_detail(answer: httpx2.Response) -> bool:
    return set(answer.json()) == {"detail"}


def _is_error(answer: httpx2.Response) -> bool:
    return set(answer.json()) <= {"error", "code"}


if __name__ == "__main__":
    sys.exit("Run scripts/demo --walk")
