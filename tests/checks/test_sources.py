"""What is read of an application, in which order it is told, and what a comment ignores."""

import os
import sys

import pytest

from fastapi_patterns.checks import check_app
from fastapi_patterns.exceptions import ConfigurationError, ConfigurationWarning
from tests.checks.conftest import Project

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
SECRET = "SECRET_KEY = 'hunter2'\n"
HOSTILE = """
class Attributes(dict):
    __getattr__ = dict.__getitem__
class Context:
    def __getattr__(self, name):
        raise RuntimeError(name)
class Lazy:
    __class__ = property(lambda self: 1 / 0)
    def __getattr__(self, name):
        raise RuntimeError(name)
settings, context, lazy = Attributes(), Context(), Lazy()
@app.get("/health")
async def health(tasks: BackgroundTasks):
    settings.get("x")
    settings.x.y()
    context.user.name()
    lazy()
    lazy.x.y()
    tasks.add_task(settings)
    tasks.add_task(lazy)
"""


def test_globals_that_cannot_be_asked(project: Project) -> None:
    """Dicts, contexts and proxies whose attributes raise are passed over, and what is beside them is found."""
    project.write(main=f"from fastapi import BackgroundTasks\n{APP}{HOSTILE}    import time\n{SECRET}")
    assert len(project.check("FP501")) == 1
    assert len(project.check("FP101")) == 1


def test_modules_that_cannot_be_asked(project: Project) -> None:
    """Lazy ones that want an extra, and things in `sys.modules` that are no modules."""
    lazy = """
import sys, types
class Lazy(types.ModuleType):
    def __getattr__(self, name):
        raise ImportError(name)
sys.modules["main_lazy"] = Lazy("main_lazy")
sys.modules["main_none"] = object()
"""
    project.write(main=f"{APP}{lazy}{SECRET}")
    try:
        assert len(project.check("FP501")) == 1
    finally:
        del sys.modules["main_lazy"], sys.modules["main_none"]


def test_a_flat_layout_is_read_as_a_whole(project: Project) -> None:
    """Folders beside main.py, at any depth."""
    project.write(
        main=f"from routers.v1 import users\n{APP}", routers__v1__users="from core.config import *", core__config=SECRET
    )
    (found,) = project.check("FP501")
    assert found.place == os.path.join("core", "config.py:1")


@pytest.mark.parametrize("here", ["", "elsewhere"])
def test_a_package_beside_is_read(here: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from another folder, by where the application was imported from."""
    project.write(shop__api__main=f"import common.config\n{APP}", common__config=SECRET, elsewhere__x="")
    monkeypatch.chdir(project.folder / here)
    (found,) = project.check("FP501", "shop.api.main")
    assert found.place.endswith(os.path.join("common", "config.py:1"))


def test_the_whole_folder_one_is_in_is_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the application is imported from one of its folders, and other code from another."""
    project.write(src__shop__main=f"import common\n{APP}", libs__common=SECRET)
    for folder in ("src", "libs"):
        monkeypatch.syspath_prepend(str(project.folder / folder))
    (found,) = project.check("FP501", "shop.main")
    assert found.place == os.path.join("libs", "common.py:1")


def test_what_is_installed_is_not_read_unless_it_is_the_application(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application's own package is read where pip has put it, with its functions."""
    sleeps = "import time\n@app.get('/')\nasync def route(): time.sleep(1)\n"
    installed = "venv__lib__site-packages__"
    project.write(**{f"{installed}shop__main": f"import other\n{APP}{sleeps}{SECRET}", f"{installed}other": SECRET})
    monkeypatch.syspath_prepend(str(project.folder / "venv" / "lib" / "site-packages"))
    (found,) = project.check("FP501", "shop.main")
    assert found.place.endswith(os.path.join("shop", "main.py:7"))
    assert len(project.check("FP402", "shop.main")) == 1


def test_tests_are_not_read_unless_the_application_is_one(project: Project) -> None:
    """They are full of passwords that are none."""
    names = ("tests.users", "conftest", "test_main", "main_test")
    project.write(
        main=f"import {', '.join(f'shop.{name}' for name in names)}\n{APP}",
        shop__tests__app=APP,
        **{f"shop__{name.replace('.', '__')}": SECRET for name in names},
    )
    assert project.check("FP501") == []
    assert len(project.check("FP501", "shop.tests.app")) == len(names)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (b"\xef\xbb\xbf" + f"{APP}{SECRET}".encode(), 3),
        (b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + f"{APP}{SECRET}".encode(), 5),
        (f"{APP}\x0c\n# x\x0c\n{SECRET}".encode(), 5),
    ],
    ids=["bom", "latin-1", "form feed"],
)
def test_files_are_read_as_python_reads_them(code: bytes, line: int, project: Project) -> None:
    """With a mark of their encoding, or a line that names it."""
    project.write(main=code)
    (found,) = project.check("FP501")
    assert found.place == f"main.py:{line}"


def test_a_file_that_cannot_be_parsed_is_said(project: Project) -> None:
    """Which its loader could, or which has changed since."""
    project.write(main=f"import changed\n{APP}", changed="x = 1")
    import main

    project.write(changed="x = (")
    with pytest.warns(ConfigurationWarning, match=r"no rule has read changed\.py: it cannot be parsed"):
        check_app(main.app, "main")


def test_findings_of_a_file_come_by_their_lines(project: Project) -> None:
    """As numbers: 9 before 10 before 100."""
    lines = {9, 10, 100}
    project.write(main=APP + "".join(SECRET if line in lines else "\n" for line in range(3, 101)))
    assert [found.place for found in project.check("FP501")] == ["main.py:9", "main.py:10", "main.py:100"]


IGNORE = "# patterns: ignore[FP501]"
IGNORED = f"""
A_SECRET = "hunter2"  {IGNORE} fake
B_SECRET = "hunter2"  # found
{IGNORE} fake
C_SECRET = "hunter2"
D_SECRET = "hunter2"  # found
E_SECRET = (
    "hunter"
    "2"  {IGNORE}
)
F_SECRET = (
    "hunter2"
)  {IGNORE}
G = dict(
    x_secret="hunter2",  {IGNORE}
    y_secret="hunter2",  # found
    {IGNORE}
    z_secret="hunter2",
)
H = dict(
    x_secret="hunter2",
    y_secret="hunter2",
)  {IGNORE}
{IGNORE}
I = dict(
    x_secret="hunter2",
)
J_SECRET = "hunter2"  # patterns: ignore[FP502, FP101]  # found
K_SECRET = "#patterns:ignore[FP501]"  # found
if app:  {IGNORE}
    L_SECRET = "hunter2"  # found
M_SECRET = "a"; N = "\x0c\x1c"; O_SECRET = "b"  {IGNORE}
P_SECRET = "hunter2"  # found
"""


def test_what_a_comment_ignores(project: Project) -> None:
    """The statement in which it is, or what is below it where the line holds nothing else."""
    expected, found = project.lines("FP501", IGNORED)
    assert found == expected


@pytest.mark.parametrize(
    ("above", "decorator", "head", "ignored"),
    [
        (IGNORE, "", "", True),
        ("", IGNORE, "", True),
        ("", "", IGNORE, True),
        (f"x = 1  {IGNORE}", "", "", False),
        ("", "", f"\n    x = 1  {IGNORE}", False),
    ],
)
def test_a_route_is_ignored_at_its_head(above: str, decorator: str, head: str, ignored: bool, project: Project) -> None:
    """Above its decorators, at one of them, or at its `def`."""
    above, decorator, head = (each.replace("FP501", "FP101") for each in (above, decorator, head))
    project.write(main=f"{APP}{above}\n@app.get('/')  {decorator}\ndef route():  {head}\n    return 1\n")
    assert (project.check("FP101") == []) == ignored


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ignore": ["FP101", "fp601", "FP999"]}, "ignore names rules that there are not: FP999, fp601"),
        ({"public": ["/open", "/closed", "POST /open", "/x/*"]}, "not: /closed, POST /open, /x/\\*"),
    ],
)
def test_settings_that_name_nothing(options: dict[str, list[str]], words: str, project: Project) -> None:
    """They would seem to do what they do not."""
    project.write(main=f"{APP}@app.get('/open')\ndef route(): ...\n")
    import main

    with pytest.raises(ConfigurationError, match=words):
        check_app(main.app, "main", **options)
