"""The workflows: what runs in them is pinned, has no rights, and is what a change must pass; one job can publish."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"(?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40})")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _read(name: str) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / name).read_text())
    return read


CI, RELEASE = _read("workflows/ci.yml"), _read("workflows/release.yml")


def _jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield path.stem, name, job


def _steps() -> Iterator[dict[str, Any]]:
    for _, _, job in _jobs():
        yield from job.get("steps", ())


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_there_are_two_workflows() -> None:
    """What the tests below look at is all there is."""
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit(path: Path) -> None:
    """With the version beside it; a tag can be moved to other code."""
    uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
    assert uses
    own = "uses: $/.github/workflows/ci.yml"  # of this repository, at the commit that runs
    loose = [line for line in uses if not re.fullmatch(rf"uses: {PINNED.pattern} # v\d+\.\d+\.\d+", line)]
    assert [line for line in loose if line.split(" #")[0] != own] == []


def test_an_action_has_one_version() -> None:
    """The same commit wherever it is used, so that an update misses none."""
    matches = [PINNED.fullmatch(step["uses"]) for step in _steps() if "uses" in step]
    commits = {(match["action"], match["commit"]) for match in matches if match}
    assert len(commits) == len({action for action, _ in commits}) >= 4


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_is_allowed_from_the_start(path: Path) -> None:
    """A workflow has no rights, and each job names its own; none needs a secret or runs for a stranger's code."""
    text = path.read_text()
    assert yaml.safe_load(text)["permissions"] == {}
    assert "secrets" not in text
    assert "pull_request_target" not in text
    assert "workflow_run" not in text


def test_one_job_can_publish() -> None:
    """The others may read the sources; it may have an identity, waits for a person and runs no command."""
    rights = {(workflow, name): job["permissions"] for workflow, name, job in _jobs()}
    assert rights.pop(("release", "publish")) == {"id-token": "write"}
    assert all(right == {"contents": "read"} for right in rights.values()), rights
    publish = RELEASE["jobs"]["publish"]
    assert publish["environment"]["name"] == "pypi"
    assert [step["uses"].split("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]
    assert not any("run" in step for step in publish["steps"])
    settings = publish["steps"][1]["with"]
    assert settings["attestations"] is True
    assert not {"password", "user", "repository-url"} & set(settings)


def test_a_release_has_passed_everything() -> None:
    """It is a tag; what is published was built after CI ran on the same commit."""
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}  # `on` is a boolean in YAML 1.1
    assert RELEASE["jobs"]["publish"]["needs"] == "build"
    assert RELEASE["jobs"]["build"]["needs"] == "test"
    assert RELEASE["jobs"]["test"]["uses"] == "$/.github/workflows/ci.yml"
    assert "workflow_call" in CI[True]
    assert RELEASE["concurrency"]["cancel-in-progress"] is False


def test_checkouts_leave_no_token() -> None:
    """The token of a checkout stays out of the folder in which the tests run."""
    checkouts = [step for step in _steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_expression_becomes_a_command() -> None:
    """What GitHub fills into a command would run as one: commands take the environment."""
    assert [step["run"] for step in _steps() if "${{" in step.get("run", "")] == []


def test_ci_runs_what_a_change_must_pass() -> None:
    """Every script of the contributor's, and they are there."""
    commands = [step["run"].split() for job in CI["jobs"].values() for step in job["steps"] if "run" in step]
    assert {" ".join(command[:2]) for command in commands} == {
        "scripts/check",
        "scripts/demo --walk",
        "scripts/test -n",
        "scripts/test --floors",
        "scripts/test-wheel",
        "scripts/test-browser",
    }
    assert all(os.access(ROOT / command[0], os.X_OK) for command in commands)
    assert CI["env"]["REQUIRE_SERVICES"] == "1"


def test_every_python_that_is_promised_is_tested() -> None:
    """From the lowest of `requires-python` on, without a gap; a classifier is no promise of a version that may fail."""
    matrix = CI["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["may-fail"] == [False]
    required = matrix["python"]
    allowed = [row["python"] for row in matrix["include"] if row["may-fail"]]
    assert f">={required[0]}" == PROJECT["requires-python"]
    minors = [_number(version)[1] for version in (*required, *allowed)]
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    prefix = "Programming Language :: Python :: "
    classifiers = {name.removeprefix(prefix) for name in PROJECT["classifiers"] if name.startswith(f"{prefix}3.")}
    assert classifiers <= set(required)
    lowest = {job["steps"][1]["with"]["python-version"] for name, job in CI["jobs"].items() if name != "test"}
    assert lowest == {required[0]}


def test_updates_wait() -> None:
    """An update is proposed when it has been out for a week."""
    updates = _read("dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)
