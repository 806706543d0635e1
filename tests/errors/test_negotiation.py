"""Which answer an Accept header asks for."""

import pytest

from fastapi_patterns.errors.negotiation import prefers_html

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept",
    [
        FIREFOX,
        CHROME,
        "text/html",
        "TEXT/HTML",
        "text/*",
        "text/html;level=1;q=0.4",
        "text/html, application/json;q=0.9",
        "application/json;q=0.5,text/html;q=0.501",
        "text/html;q=0.3, */*;q=0.2",
        "*/*;q=0.1, text/*;q=0.2",
        "text/html , application/json ; q=0.9",
        "text/html,application/json;q=0",
        "text/html,application/json;q=nonsense",
        "image/png,text/html",
    ],
)
def test_html_is_preferred(accept: str) -> None:
    """Browsers, and whoever ranks text/html higher than JSON."""
    assert prefers_html(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/*",
        "text/plain",
        "text/html,application/json",
        "application/json,text/html",
        "text/html,*/*",
        "text/html;q=0.5,application/json",
        "text/html;q=0.5,application/*;q=0.6",
        "text/html;q=0.5,*/*;q=0.6",
        "text/html;q=0",
        "text/*,text/html;q=0",
        "text/html;q=0,text/*;q=1",
        "text/html;q=1.5",
        "text/html;q=-1",
        "text/html;q=nan",
        "text/html;q=inf",
        "text/html;q=0.1234",
        "text/html;q=",
        "text/html;q",
        "text/htmlx",
        ",;,text/,;q=1",
        "text/html;q=0.0001," * 500,
    ],
)
def test_json_is_the_answer(accept: str) -> None:
    """No wish, a tie, a lower rank, or what is no quality value (RFC 9110 section 12.4.2)."""
    assert not prefers_html(accept)


def test_the_type_of_the_renderer_counts() -> None:
    """A client of problem details gets them."""
    accept = "text/html;q=0.9, application/problem+json"
    assert prefers_html(accept)
    assert not prefers_html(accept, "application/problem+json")
