"""What the command takes for an application, and what it says where there is none."""

import json
from fnmatch import fnmatchcase

import pytest

from fastapi_patterns.cli import main
from tests.checks.conftest import Project

APP = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/open')\ndef route(): ...\n"
WRAPPED = """
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from functools import partial
wrapped = GZipMiddleware(CORSMiddleware(app))
class Container:
    inner = app
    def make(self): return app
container = Container()
def create(): return app
def create_wrapped(name="x"): return wrapped
def create_by(settings): return app
bound = partial(create_by, settings=None)
"""
OTHERS = """
from starlette.applications import Starlette
from starlette.routing import Mount
mounted = Starlette(routes=[Mount("/v1", app=app)])
def create(settings): return app
async def create_async(): return app
class Class:
    def __call__(self): return app
instance = Class()
"""


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command, and give its code, its output and its errors."""
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    "name", ["app", "wrapped", "container.inner", "container.make", "create", "create_wrapped", "bound"]
)
def test_what_is_an_application(name: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """One inside of middleware, one that an object has, and what a function makes without arguments."""
    project.write(main=APP + WRAPPED)
    code, out, err = run("check", f"main:{name}", "--json", capsys=capsys)
    assert (code, err) == (0, "")
    assert "FP101" in {finding["rule"] for finding in json.loads(out)}


@pytest.mark.parametrize("name", ["mounted", "create", "create_async", "instance", "Class", "FastAPI_", "APP.app"])
def test_what_is_none(name: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is called that wants arguments or is awaited."""
    project.write(main=APP + OTHERS)
    code, out, err = run("check", f"main:{name}", capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith(f"fastapi-patterns: main:{name} is no FastAPI application, nor a function")


@pytest.mark.parametrize("command", ["check", "routes"])
def test_an_application_may_print(command: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints at its import and when it is made is not among the JSON."""
    project.write(main=f"print('imported')\n{APP}def create():\n    print('made')\n    return app\n")
    code, out, err = run(command, "main:create", "--json", capsys=capsys)
    assert (code, err) == (0, "imported\nmade\n")
    assert len(json.loads(out)) > 1


SETTINGS = """
from pydantic import BaseModel
class Settings(BaseModel):
    secret_key: str
    port: int
Settings(port="hunter2")
"""


@pytest.mark.parametrize(
    ("code", "said", "place"),
    [
        ("import os\nos.environ['X']", "KeyError: 'X'", "core/config.py:2: os.environ['X']"),
        ("import stripe_", "ModuleNotFoundError: No module named 'stripe_'", "core/config.py:1: import stripe_"),
        ("raise ValueError('a\\n b')", "ValueError: a b", "core/config.py:1: raise ValueError('a\\n b')"),
        ("import sys\nsys.exit('no X')", "SystemExit: no X", "core/config.py:2: sys.exit('no X')"),
        ("raise SystemExit", "SystemExit", "core/config.py:1: raise SystemExit"),
        ("import re\nre.compile('(')", "*rror: missing ), unterm*", "core/config.py:2: re.compile('(')"),
        (SETTINGS, "ValidationError: secret_key: Field required; port: Input should be a valid integer*", "*:6: Sett*"),
        ("x = (", "SyntaxError: '(' was never closed (config.py, line 1)", "main.py:1: import core.config"),
    ],
)
def test_an_import_that_fails(
    code: str, said: str, place: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with the application's own line at which it did; the code is not that of findings."""
    project.write(main=f"import core.config\n{APP}", core__config=code)
    for command in ("check", "routes"):
        ended, out, err = run(command, "main:app", capsys=capsys)
        assert (ended, out) == (2, "")
        first, second = err.splitlines()
        assert fnmatchcase(first, f"fastapi-patterns: importing main failed: {said}")
        assert fnmatchcase(second, f"    {place}".replace("[", "[[]"))
        assert "hunter2" not in first


def test_a_function_that_fails(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, too."""
    project.write(main="def create(): raise KeyError('SECRET_X')\n")
    code, _, err = run("check", "main:create", capsys=capsys)
    assert code == 2
    assert err == (
        "fastapi-patterns: calling main:create failed: KeyError: 'SECRET_X'\n"
        "    main.py:1: def create(): raise KeyError('SECRET_X')\n"
    )


def test_a_src_layout_needs_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The package is found below src, and what is there is read."""
    project.write(src__shop__main=APP + "SECRET_KEY = 'hunter2'\n")
    code, out, err = run("check", "shop.main:app", capsys=capsys)
    assert (code, err) == (1, "")
    assert out.startswith("src/shop/main.py:5: FP501 error")
    assert run("check", "shops.main:app", capsys=capsys)[2] == "fastapi-patterns: there is no module 'shops' here\n"


@pytest.mark.parametrize("name", [":app", "main:", "main"])
def test_a_name_in_two_parts(name: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A module and what is in it."""
    project.write(main=APP)
    code, _, err = run("check", name, capsys=capsys)
    assert code == 2
    assert err.startswith("fastapi-patterns: name the application")


@pytest.mark.parametrize(
    ("pyproject", "words"),
    [
        (b"[tool.fastapi-patterns]\ncheck = true", "[tool.fastapi-patterns.check] in pyproject.toml must be a table"),
        (b"[tool]\nfastapi-patterns = 1", "[tool.fastapi-patterns.check] in pyproject.toml must be a table"),
        (b"tool = 1", "[tool.fastapi-patterns.check] in pyproject.toml must be a table"),
        (b"[tool.fastapi-patterns.check]\napp = 3", "app must be a text such as 'shop.main:app'; got 3"),
        (b"[tool.fastapi-patterns.check]\napp = 'caf\xe9:app'", "pyproject.toml cannot be read: 'utf-8' codec"),
        (
            b"[tool.fastapi-patterns.check]\nignore = ['FP101', 'fp601']",
            "ignore names rules that there are not: fp601;",
        ),
        (b"[tool.fastapi-patterns.check]\npublic = ['/closed']", "public names routes that there are not: /closed"),
    ],
)
def test_settings_that_are_wrong(
    pyproject: bytes, words: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with 2."""
    project.write(main=APP)
    (project.folder / "pyproject.toml").write_bytes(pyproject)
    code, out, err = run("check", "main:app", capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith(f"fastapi-patterns: {words}")


ROUTES = """
from functools import partial, wraps
other = FastAPI()
made = []
def document():
    made.append(1)
    raise RuntimeError("it wants a database")
other.openapi = document
def work(x: int = 1): ...
def decorated(function):
    def inner(): ...
    return inner
app.get("/partial")(partial(work, x=1))
app.get("/named-partial", name="report")(partial(work, x=1))
@app.get("/named", name="items:read", responses={404: {}})
@decorated
def read(): ...
other.get("/one")(work)
other.get("/two")(work)
app.mount("/other", other)
"""


def test_routes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """By the names that they have; `?` where the document cannot be made, which is tried once."""
    project.write(main=APP + ROUTES)
    code, out, _ = run("routes", "main:app", "--json", capsys=capsys)
    rows = {row["path"]: (row["name"], row["errors"]) for row in json.loads(out)}
    assert code == 0
    assert {path: row for path, row in rows.items() if "docs" not in path and "openapi" not in path} == {
        "/open": ("route", "-"),
        "/partial": ("work", "422"),
        "/named-partial": ("report", "422"),
        "/named": ("items:read", "404"),
        "/other/one": ("work", "?"),
        "/other/two": ("work", "?"),
        "/redoc": ("redoc_html", "-"),
        "/other/redoc": ("redoc_html", "?"),
    }
    import main as imported

    assert imported.made == [1]
