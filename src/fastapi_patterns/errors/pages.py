"""A page for people: what an error says, without scripts, pictures or anything from elsewhere."""

from html import escape

from fastapi_patterns.errors.exceptions import phrase
from fastapi_patterns.exceptions import ErrorInfo

__all__ = ["error_page"]

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto 0; padding: 0 1.5rem; }}
h1 {{ font-size: 1.5rem; }}
code {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}</main>
</body>
</html>
"""


def error_page(info: ErrorInfo) -> str:
    """Make a small page of an error: `install_stack(app, html=error_page)`.

    It shows the status in words, the public detail if that is text, the fields of a failed validation, and the request
    id. Everything is escaped.
    """
    title = f"{info.status} {phrase(info.status)}"
    content = []
    if isinstance(info.detail, str) and info.detail != phrase(info.status):
        content.append(f"<p>{_text(info.detail)}</p>")
    if info.errors:
        items = "".join(f"<li>{_text(error['field'])}: {_text(error['message'])}</li>\n" for error in info.errors)
        content.append(f"<ul>\n{items}</ul>")
    if info.request_id:
        content.append(f"<p>Request id: <code>{_text(info.request_id)}</code></p>")
    return _PAGE.format(title=_text(title), content="".join(f"{part}\n" for part in content))


def _text(value: object) -> str:
    return escape(str(value))
