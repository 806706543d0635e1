"""The docs page as a person uses it: log in, call a protected route, read what errors look like."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import ADA, ASSETS, CHROMIUM, TIMEOUT_MS, authorize, open_docs

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and ASSETS), reason="run by scripts/test-browser, which brings the browser"),
]

REFUSED = "a password that no answer repeats"


@pytest.fixture(autouse=True)
def _no_script_fails(page: "Page") -> Iterator[None]:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield
    assert problems == []


def _operation(page: "Page", operation: str) -> "Locator":
    """Open the box of an operation."""
    page.click(f"#operations-{operation} .opblock-summary-control")
    return page.locator(f"#operations-{operation}")


def _answer(box: "Locator") -> str:
    """Send the request of an open box and return the answer's text."""
    box.locator("button.execute").click()
    answer = box.locator(".live-responses-table .response")
    answer.wait_for()
    return answer.inner_text()


def _shows_example(box: "Locator", status: int, body: object) -> None:
    """Wait until the page, which fills the schema in by and by, shows this example body for a status."""
    from playwright.sync_api import expect

    row = box.locator(f".responses-table:not(.live-responses-table) tr.response[data-code='{status}']")
    expect(row.locator(".highlight-code code")).to_have_text(json.dumps(body, indent=2), timeout=TIMEOUT_MS)


def _schema(page: "Page", name: str) -> str:
    """Unfold a model in the list of schemas and return what it shows."""
    models = page.locator("section.models article[data-json-schema-level='0']")
    model = models.filter(has=page.get_by_text(name, exact=True))
    model.locator(".json-schema-2020-12-expand-deep-button").first.click()
    model.get_by_text("string", exact=True).first.wait_for()
    return model.inner_text()


def test_authorize_with_a_password_and_call_me(page: "Page", service_url: str) -> None:
    """The Authorize button logs in, and `Try it out` on /me then answers with the user and no hash."""
    open_docs(page, service_url)
    box = _operation(page, "accounts-me_me_get")
    box.locator(".try-out__btn").click()
    assert "401" in _answer(box)

    authorize(page)
    page.click(".auth-btn-wrapper button.btn-done")
    box.locator("button.btn-clear").click()
    answer = _answer(box)
    assert "200" in answer
    assert ADA["email"] in answer
    assert "password_hash" not in answer


def test_the_documented_422_is_the_real_one(page: "Page", service_url: str) -> None:
    """The page shows a failed validation as it is answered, and neither form holds what was sent."""
    open_docs(page, service_url)
    box = _operation(page, "accounts-register_auth_register_post")
    _shows_example(box, 422, {"errors": [{"field": "body.email", "message": "string"}]})

    box.locator(".try-out__btn").click()
    box.locator("textarea.body-param__text").fill(json.dumps({"email": "nobody", "password": REFUSED}))
    with page.expect_response("**/auth/register") as sent:
        answer = _answer(box)
    assert sent.value.status == 422
    errors = sent.value.json()["errors"]
    assert sorted(error["field"] for error in errors) == ["body.email", "body.name"]
    assert all(error.keys() == {"field", "message"} for error in errors)
    assert "body.email" in answer
    assert REFUSED not in answer.split("Server response")[-1]
    assert REFUSED not in sent.value.text()


def test_errors_are_documented_with_their_models(page: "Page", service_url: str) -> None:
    """A 409 shows its example, and the list of schemas has the models that are answered, not FastAPI's own."""
    open_docs(page, service_url)
    box = _operation(page, "accounts-register_auth_register_post")
    _shows_example(box, 409, {"error": "This e-mail address is taken", "code": "email_taken"})

    assert "error" in _schema(page, "Error")
    validation = _schema(page, "HTTPValidationError")
    assert "errors" in validation
    assert "message" in validation
    assert "detail" not in validation
