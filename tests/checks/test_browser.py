"""CORS and what is inside of it."""

import sys

import pytest

from tests.checks.conftest import Check

CORS = """
from fastapi.middleware.cors import CORSMiddleware
app.add_middleware(CORSMiddleware, %s)
"""
ORIGIN = CORS % "allow_origins=['https://app.example']"
CATCHES = """
class CatchAll:
    def __init__(self, app): self.app = app
    async def __call__(self, scope, receive, send):
        started = False
        try: await self.app(scope, receive, send)
        except %s:
            if started: raise
            %s
app.add_middleware(CatchAll)
"""
DISPATCH = """
@app.middleware("http")
async def catch(request, call_next):
    try: return await call_next(request)
    except Exception: return Response(status_code=500)
"""


@pytest.mark.parametrize(
    "code",
    [
        CATCHES % ("Exception", "await Response(status_code=500)(scope, receive, send)") + ORIGIN,
        DISPATCH + ORIGIN,
        "from fastapi_patterns.middleware import CatchAllMiddleware\napp.add_middleware(CatchAllMiddleware)" + ORIGIN,
        CORS % "allow_origins=[]",
        CORS % "",
    ],
    ids=["own", "function", "of the package", "nobody", "nothing"],
)
def test_errors_are_answered_inside(code: str, check: Check) -> None:
    """Or there is nobody to read them."""
    assert check("FP302", code) == []


@pytest.mark.parametrize(
    "code",
    [
        CATCHES % ("Exception", "raise") + ORIGIN,
        CATCHES % ("ValueError", "print()") + ORIGIN,
        ORIGIN + CATCHES % ("Exception", "print()"),
        CORS % "allow_origin_regex=r'https://app\\.example'",
    ],
    ids=["raises again", "one kind", "outside", "a regex"],
)
def test_errors_are_answered_outside(code: str, check: Check) -> None:
    """Though there is something that looks like it."""
    assert len(check("FP302", code)) == 1


def test_any_site_can_be_null(check: Check) -> None:
    """From a frame in a sandbox; without credentials that is nothing."""
    assert len(check("FP201", CORS % "allow_origins=['null'], allow_credentials=True")) == 1
    assert check("FP201", CORS % "allow_origins=['null']") == []


def test_a_star_in_an_origin_matches_nothing(check: Check) -> None:
    """The mend is the expression that was meant."""
    (found,) = check("FP203", CORS % "allow_origins=['https://*.example.com']")
    assert found.mend == r"write allow_origin_regex=r'https://[a-z0-9-]+\.example\.com'"
    assert check("FP203", CORS % r"allow_origin_regex=r'https://[a-z0-9-]+\.example\.com'") == []


def test_origins_are_not_used_up(check: Check) -> None:
    """By reading an iterator that the middleware is going to read."""
    check("FP203", "origins = iter(['https://app.example'])" + CORS % "allow_origins=origins")
    (name,) = (name for name in sys.modules if name.startswith("checked_"))
    assert list(sys.modules[name].origins) == ["https://app.example"]


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("FP201", "allow_origins=['*'], allow_credentials=True"),
        ("FP202", "allow_origins='https://app.example'"),
        ("FP203", "allow_origins=['https://app.example/']"),
        ("FP302", "allow_origins=['https://app.example']"),
    ],
)
def test_an_application_that_is_mounted(rule: str, options: str, check: Check) -> None:
    """Has middleware of its own; it is found once, at the first of its paths."""
    code = CORS.replace("app.", "sub.") % options
    mounts = "app.mount('/sub', sub)\napp.mount('/again', sub)"
    (found,) = check(rule, f"sub = FastAPI(){code}{mounts}")
    assert found.place == "CORSMiddleware of /sub"


def test_base_http_middleware_of_an_application_that_is_mounted(check: Check) -> None:
    """Costs as much there; two levels down too."""
    code = DISPATCH.replace("app.", "sub.")
    (found,) = check("FP301", f"sub, v1 = FastAPI(), FastAPI(){code}v1.mount('/a', sub)\napp.mount('/v1', v1)")
    assert found.place.endswith(".catch of /v1/a")
