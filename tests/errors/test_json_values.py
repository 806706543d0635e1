"""Whatever an application puts into an error: the answer is written, and unknown objects give nothing away."""

import json
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel, SecretStr

from fastapi_patterns import AppException, ProblemRenderer, install_error_handlers
from fastapi_patterns.errors import responses
from fastapi_patterns.errors.json_values import json_value


class Row:
    """An object such as an ORM's: its attributes are nobody's business."""

    def __init__(self) -> None:
        self.password_hash = "hunter2"

    def __str__(self) -> str:
        return "hunter2"


class DriverError(Exception):
    """An exception that carries a statement."""

    def __init__(self) -> None:
        super().__init__("hunter2")
        self.statement = "SELECT hunter2"


class Colour(Enum):
    """A plain enumeration."""

    RED = "red"


class Size(StrEnum):
    """One whose members are text."""

    SMALL = "small"


@dataclass
class Pair:
    """A dataclass with an unknown inside."""

    left: Any
    right: Any


class Model(BaseModel, arbitrary_types_allowed=True):
    """A model that may hold what pydantic cannot write."""

    value: Any


CYCLE: list[Any] = ["a"]
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        ({"a": [float("inf"), 1.5]}, {"a": [None, 1.5]}),
        (Row(), None),
        (DriverError(), None),
        ({"row": Row(), "why": DriverError(), "ok": 1}, {"row": None, "why": None, "ok": 1}),
        (Pair(1, Row()), {"left": 1, "right": None}),
        (Model(value=float("nan")), {"value": None}),
        (Model(value=datetime(2030, 1, 1, tzinfo=UTC)), {"value": "2030-01-01T00:00:00Z"}),
        (SecretStr("hunter2"), "**********"),
        (Colour.RED, "red"),
        ({Size.SMALL: Colour.RED}, {"small": "red"}),
        ({1: 2, None: 3, UUID(int=7): 4}, {"1": 2, "null": 3, "00000000-0000-0000-0000-000000000007": 4}),
        ({1: 2, False: 3, 1.5: 4}, {"1": 2, "false": 3, "1.5": 4}),
        (2**64, 2**64),
        (deque([1, UUID(int=7)]), [1, "00000000-0000-0000-0000-000000000007"]),
        (b"\xff", None),
        (b"text", "text"),
        (CYCLE, ["a", None]),
        (Row, None),
        ("no \ud800 item", "no ? item"),
        ({"\udfff": "é"}, {"?": "é"}),
    ],
)
@pytest.mark.parametrize("kind", [AppException, HTTPException])
@pytest.mark.parametrize("fast", [True, False], ids=["orjson", "json"])
def test_any_detail_is_an_answer(
    kind: Any, value: Any, written: Any, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of our exception and of FastAPI's, which the renderer for all shapes: status and headers stay."""
    if not fast:  # as where the extra is not installed
        monkeypatch.setattr(responses, "orjson", None)
    app = FastAPI()
    install_error_handlers(app, renderer=ProblemRenderer())

    @app.get("/")
    async def route() -> None:
        raise kind(404, value, headers={"X-Kept": "1"})

    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.headers["x-kept"]) == (404, "1")
    body = json.loads(answer.content)
    assert body.get("detail", body.get("details")) == written
    assert "hunter2" not in answer.text


def test_any_depth_ends() -> None:
    """What is nested deeper than any reader follows is cut."""
    value: Any = "end"
    for _ in range(5000):
        value = [value]
    assert "end" not in json.dumps(json_value(value))
