"""`fastapi_check`, in projects of its own: what the command finds fails the run, and costs nothing where it is off."""

import pytest

SHOP = """
import time
from fastapi import FastAPI
from fastapi_patterns import install_stack

app = FastAPI()
install_stack(app)

@app.get("/open")
async def route() -> None:
    time.sleep(0.001)
"""
PYPROJECT = """
[tool.pytest.ini_options]
fastapi_app = "shop:app"
fastapi_check = true
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose application blocks its event loop, which is a warning."""
    pytester.makepyfile(shop=SHOP, test_it="def test_route(client): assert client.get('/open').status_code == 200")
    pytester.makepyprojecttoml(PYPROJECT)
    return pytester


@pytest.mark.parametrize("addopts", ["", "-n 2"])
def test_findings_fail_the_run(project: pytest.Pytester, addopts: str) -> None:
    """Those that the project calls failures, as the command shows them, and no traceback."""
    check = "[tool.fastapi-patterns.check]\npublic = ['/open']\nfail-on = 'warning'\n"
    project.makepyprojecttoml(PYPROJECT + check)
    ran = project.runpytest_subprocess(*addopts.split())
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["*fastapi-patterns check*", "*shop.py:10: FP402 warning: time.sleep*", "    await *"])
    assert "Traceback" not in ran.stdout.str()
    assert "FP101" not in ran.stdout.str()


def test_only_errors_fail_it_by_default(project: pytest.Pytester) -> None:
    """A warning does not."""
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_it_can_be_left_out(project: pytest.Pytester) -> None:
    """By `-k`, as a test can."""
    project.runpytest_subprocess("-k", "not check").assert_outcomes(passed=1, deselected=1)


def test_settings_that_are_wrong_are_said(project: pytest.Pytester) -> None:
    """In one line."""
    project.makepyprojecttoml(PYPROJECT + "[tool.fastapi-patterns.check]\nfail-on = 'all'\n")
    ran = project.runpytest_subprocess()
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["fail-on must be one of info, warning, error; got 'all'"])


def test_a_check_of_no_application_is_said(project: pytest.Pytester) -> None:
    """Instead of a run that has checked nothing."""
    project.makepyprojecttoml("[tool.pytest.ini_options]\nfastapi_check = true\n")
    ran = project.runpytest_subprocess()
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines(["ERROR: fastapi_check is set; name the application too: *"])


def test_nothing_is_checked_where_nobody_asks(project: pytest.Pytester) -> None:
    """The rules are not even imported."""
    project.makepyprojecttoml(PYPROJECT.replace("true", "false"))
    project.makepyfile(
        test_it="""
        import sys

        def test_route(client):
            assert client.get("/open").status_code == 200
            assert "fastapi_patterns.checks" not in sys.modules
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)
