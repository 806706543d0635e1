"""What may be shown of a URL or a header. Pure: text in, text out, nothing that could act on a log or a terminal.

Every character outside a small plain set is percent-encoded, so that no line break, escape sequence or bidi mark
reaches the log (CWE-117); values that are secret by their name or their form are replaced (CWE-532).
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_plus, urlsplit

__all__ = ["HIDDEN", "is_secret_name", "plain", "redact_header", "redact_path", "redact_query"]

HIDDEN = "[redacted]"

_PLAIN = re.compile(r"[A-Za-z0-9/_.~:@!$&'()*+,;=-]*")
_MAX_PATH, _MAX_QUERY, _MAX_HEADER = 2048, 1024, 256

# A name is compared without case and without what stands between its words: `X-Api-Key`, `api_key`, `user[password]`.
_NOT_WORD = re.compile(r"[^a-z0-9]")
_SECRET_PARTS = re.compile(
    "token|secret|passw|passphrase|passcode|pwd|apikey|auth|session|jwt|otp|credential|signature|cookie|csrf|xsrf"
    "|card|cvv|cvc|iban|ssn|bearer|assertion|samlresponse|private"
)
_SECRET_ENDS = ("key", "code", "sid", "sig", "pin", "pass", "nonce", "ticket", "state", "hash", "hmac")
# A JWT under any name, a URL with a password in it.
_SECRET_VALUE = re.compile(r"eyJ[A-Za-z0-9_-]{5,}|://[^/?#\s]*@|^(bearer|basic|digest|token)\s", re.IGNORECASE)
# Of a URL or a form inside a value, and of JSON.
_INNER_NAME = re.compile(r"([^?&;=#]+)=|\"([^\"]+)\"\s*:")
_USERINFO = re.compile(r"://[^/?#\s]*@")


def plain(text: str, limit: int = _MAX_PATH) -> str:
    """Percent-encode what is not plain, and bound the length."""
    if "://" in text:  # the absolute form of a request's target (RFC 9112 section 3.2.2)
        text = _USERINFO.sub("://***@", text)
    shown = text if _PLAIN.fullmatch(text) else quote(text, safe="/:@!$&'()*+,;=~", errors="replace")
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def is_secret_name(name: str) -> bool:
    """Tell whether a parameter or header of this name is likely to hold a secret."""
    word = _NOT_WORD.sub("", name.lower())
    return _SECRET_PARTS.search(word) is not None or word.endswith(_SECRET_ENDS)


def redact_path(path: str, parameters: Mapping[str, object]) -> str:
    """Show a path, with the values of parameters that are secret by their name replaced: `/reset/{token}`."""
    for name, value in parameters.items():
        text = str(value)
        if text and is_secret_name(name):
            # A converter may have changed the text; then the whole path goes.
            path = path.replace(text, HIDDEN) if text in path else HIDDEN
    return "/".join(part if part == HIDDEN else plain(part) for part in path.split("/"))


def redact_query(query: bytes) -> str:
    """Show a query string, with the values that are secret by their name or their form replaced."""
    shown = []
    for pair in re.split("[&;]", query.decode("latin-1")):
        name, equals, value = pair.partition("=")
        if value and (is_secret_name(unquote_plus(name)) or _is_secret_value(unquote_plus(value))):
            value = HIDDEN
        elif not equals and _is_secret_value(unquote_plus(name)):
            name = HIDDEN
        shown.append("".join(part if part == HIDDEN else _quoted(part) for part in (name, equals, value)))
    text = "&".join(shown)
    return text if len(text) <= _MAX_QUERY else f"{text[:_MAX_QUERY]}..."


def redact_header(name: str, value: str) -> str:
    """Show a header; of a Referer only the origin, since its path may be one that holds a secret."""
    if name == "referer":
        try:
            parts = urlsplit(value)
            value = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        except ValueError:
            return HIDDEN
    if _SECRET_VALUE.search(value):
        return HIDDEN
    return value if len(value) <= _MAX_HEADER else f"{value[:_MAX_HEADER]}..."


def _is_secret_value(value: str) -> bool:
    """A secret by its form, or a URL or query with a secret in it, once or twice encoded."""
    for text in (value, unquote_plus(value)):
        if _SECRET_VALUE.search(text) or any(
            is_secret_name(name) for pair in _INNER_NAME.findall(text) for name in pair if name
        ):
            return True
    return False


def _quoted(part: str) -> str:
    return quote(part, safe="/:@!$'()*+,=~%[]", errors="replace")
