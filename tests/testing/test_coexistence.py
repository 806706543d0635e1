"""The plugin beside others: nothing clashes where it is off, and its tests pass where it is on."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.testing.test_plugin import APP
from tests.testing.warm import cold

# What disturbs no project when it is there and not asked for; each test below turns on what it is about.
OFF = "-p no:asyncio -p no:anyio -p no:randomly -p no:django -p no:flask -p no:schemathesis -p no:hypothesispytest"
ON = "\nfastapi_app = shop:app\npythonpath = ."
STRICT = (
    "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = {scope}\nasyncio_default_test_loop_scope = {scope}"
)

SYNC_TEST = """
from shop import User

def test_sync(client, db):
    db.add(User(name="eve"))
    db.commit()
    client.post("/users")
    assert client.get("/users").json() == ["eve", "ada (welcomed)"]

def test_it_is_gone(client, db):
    assert client.get("/users").json() == []
    assert db.query(User).count() == 0
"""

needs_django = pytest.mark.skipif(not find_spec("pytest_django"), reason="pytest-django is not installed")
needs_flask = pytest.mark.skipif(not find_spec("pytest_flask"), reason="pytest-flask is not installed")


def configure(pytester: pytest.Pytester, *plugins: str, more: str = ON, addopts: str = "") -> None:
    """Write a configuration in which these plugins are active beside ours."""
    options = OFF
    for plugin in plugins:
        assert f"-p no:{plugin}" in options, plugin
        options = options.replace(f"-p no:{plugin}", "").strip()
    pytester.makeini(f"[pytest]\naddopts = {options} {addopts}\nfilterwarnings = error\n{more}")


BESIDE = [
    pytest.param((), "", "", id="nothing"),
    pytest.param(("django",), "", "", id="pytest-django, unconfigured", marks=needs_django),
    pytest.param(("flask",), "", "", id="pytest-flask", marks=needs_flask),
    pytest.param(("django", "flask"), "", "", id="pytest-django and pytest-flask", marks=[needs_django, needs_flask]),
    pytest.param(("randomly",), "", "-p no:xdist", id="pytest-randomly"),
    pytest.param((), "", "-n 2", id="pytest-xdist"),
    pytest.param(("anyio",), "", "", id="anyio"),
    pytest.param(("asyncio",), STRICT.format(scope="function"), "", id="pytest-asyncio strict"),
    pytest.param(("asyncio",), STRICT.format(scope="session"), "", id="pytest-asyncio strict, session loop"),
    pytest.param(("asyncio",), STRICT.format(scope="function").replace("strict", "auto"), "", id="pytest-asyncio auto"),
    pytest.param(
        ("asyncio",), STRICT.format(scope="session").replace("strict", "auto"), "", id="pytest-asyncio auto, session"
    ),
    pytest.param(("asyncio", "anyio"), STRICT.format(scope="function"), "", id="pytest-asyncio and anyio"),
]


@pytest.mark.parametrize(("plugins", "more", "addopts"), BESIDE)
def test_a_sync_test_passes_beside(
    pytester: pytest.Pytester, plugins: tuple[str, ...], more: str, addopts: str
) -> None:
    """`client` and `db` are ours, and each test starts empty, in whatever order."""
    pytester.makepyfile(shop=APP, test_it=SYNC_TEST)
    configure(pytester, *plugins, more=f"{ON}\n{more}", addopts=addopts)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


ASYNC_TEST = """
import pytest
from shop import User

{mark}
async def test_async(client, db):
    db.add(User(name="eve"))
    db.commit()
    assert client.get("/users").json() == ["eve"]
"""


@pytest.mark.parametrize(
    ("plugin", "more", "mark"),
    [
        ("asyncio", STRICT.format(scope="function"), "@pytest.mark.asyncio"),
        ("asyncio", STRICT.format(scope="session"), "@pytest.mark.asyncio"),
        ("asyncio", STRICT.format(scope="session").replace("strict", "auto"), ""),
        ("anyio", "", "@pytest.mark.anyio"),
    ],
    ids=["asyncio strict", "asyncio strict, session loop", "asyncio auto, session loop", "anyio"],
)
def test_an_async_test_may_use_the_sync_client(pytester: pytest.Pytester, plugin: str, more: str, mark: str) -> None:
    """It has a loop of its own in a thread, so the test's loop is not in its way."""
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'")
    pytester.makepyfile(shop=APP, test_it=ASYNC_TEST.replace("{mark}", mark))
    configure(pytester, plugin, more=f"{ON}\n{more}")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "plugins", [(), pytest.param(("django", "flask"), marks=[needs_django, needs_flask])], ids=["alone", "beside"]
)
def test_the_applications_own_fixtures_win(pytester: pytest.Pytester, plugins: tuple[str, ...]) -> None:
    """`client`, `db`, `session` of its conftest are what tests get; `app` too, unless pytest-flask wants a Flask."""
    names = ("client", "db", "session", "fastapi_app", *(() if plugins else ("app",)))
    fixtures = "\n".join(f"@pytest.fixture\ndef {name}():\n    return 'own {name}'\n" for name in names)
    pytester.makeconftest(f"import pytest\n{fixtures}")
    checks = "\n".join(f"    assert {name} == 'own {name}'" for name in names)
    pytester.makepyfile(shop=APP, test_it=f"def test_own({', '.join(names)}):\n{checks}")
    configure(pytester, *plugins)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@needs_flask
def test_a_flask_project_keeps_its_fixtures(pytester: pytest.Pytester) -> None:
    """Without `fastapi_app` the `client` is pytest-flask's."""
    pytester.makeconftest(
        """
        import flask, pytest

        @pytest.fixture
        def app():
            app = flask.Flask(__name__)
            app.add_url_rule("/ping", view_func=lambda: {"ping": "pong"})
            return app
        """
    )
    pytester.makepyfile(
        test_it="""
        import sys

        def test_flask(client):
            assert client.get("/ping").json == {"ping": "pong"}
            assert not {"fastapi", "sqlalchemy"} & set(sys.modules)
        """
    )
    configure(pytester, "flask", more="")
    cold(pytester).assert_outcomes(passed=1)


@needs_django
def test_a_django_project_keeps_its_fixtures(pytester: pytest.Pytester) -> None:
    """Without `fastapi_app` the `client` and `db` are pytest-django's."""
    pytester.makepyfile(
        settings="""
        SECRET_KEY = "tests"
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        ROOT_URLCONF = "urls"
        ALLOWED_HOSTS = ["testserver"]
        """,
        urls="""
        from django.http import JsonResponse
        from django.urls import path
        urlpatterns = [path("ping", lambda request: JsonResponse({"ping": "pong"}))]
        """,
        test_it="""
        import sys

        def test_django(client, db):
            from django.contrib.auth.models import User
            User.objects.create(username="ada")
            assert User.objects.count() == 1
            assert client.get("/ping").json() == {"ping": "pong"}
            assert not {"fastapi", "sqlalchemy"} & set(sys.modules)

        def test_the_next_one_starts_empty(db):
            from django.contrib.auth.models import User
            assert User.objects.count() == 0
        """,
    )
    configure(pytester, "django", more="pythonpath = .\nDJANGO_SETTINGS_MODULE = settings")
    cold(pytester).assert_outcomes(passed=2)


# Whatever is loaded at the end of a run of nothing, one name a line.
PROBE = """
import sys

def pytest_unconfigure(config):
    with open("modules.txt", "w") as file:
        file.write("\\n".join(sorted(sys.modules)))
"""


def test_not_configured_it_loads_three_modules(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The front door, the package and the plugin file: everything else of a run is pytest's own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]")
    pytester.makeconftest(PROBE)
    pytester.makepyfile(test_it="def test_it(): ...")
    loaded = []
    for options in ((), ("-p", "fastapi_patterns.testing.plugin")):
        cold(pytester, *options).assert_outcomes(passed=1)
        loaded.append(set(Path(pytester.path / "modules.txt").read_text().splitlines()))
    without, with_it = loaded
    ours = {name for name in with_it - without if name.startswith("fastapi_patterns")}
    assert ours == {"fastapi_patterns", "fastapi_patterns.testing", "fastapi_patterns.testing.plugin"}
    assert len(with_it - without - ours) <= 5, with_it - without - ours


@pytest.mark.parametrize("name", ["client", "db", "captured_tasks", "openapi_schema", "assert_routes_protected"])
def test_not_configured_there_is_no_fixture(pytester: pytest.Pytester, name: str) -> None:
    """None of ours, by any name."""
    pytester.makepyfile(test_it=f"def test_it({name}): ...")
    configure(pytester, more="")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*fixture '{name}' not found*"])
