"""Which texts are secrets, and which only name one: its place, its variable, a label, a gap to fill in."""

import re
from urllib.parse import urlsplit

__all__ = ["is_secret", "is_url_with_password", "refers_elsewhere"]

_ELSEWHERE = re.compile(
    r"""
    [\W_]*                                  # nothing, or asterisks
    | <.*> | \$?\{.*\} | \$\w+ | %\(.*\)s   # a gap to fill in
    | [A-Za-z][\w+.-]*://.* | arn:.*        # an address
    | (~|\.{0,2})/.+ | [a-z0-9_.-]+(/[a-z0-9_.-]+)+ | [A-Za-z_.-]+(/[A-Za-z_.-]+)+   # a path
    | [\w.-]+\.(pem|key|crt|json|txt|env|html)
    """,
    re.VERBOSE,
)
_LABEL = re.compile(
    r"""
    [A-Z]+ | [A-Z][A-Z0-9]*(_[A-Z0-9]+)+    # a constant's or a variable's name
    | X-[A-Za-z-]+                          # a header
    | [a-z_]+([.:][a-z_]+)+                 # a scope or the key of a message
    """,
    re.VERBOSE,
)
_OPEN_HOSTS = ("localhost", "example.com", "example.org", "example.net")
_OPEN_ENDS = (".localhost", ".example", ".test", ".invalid", ".example.com")
_NO_PASSWORDS = ("password", "passwd", "pass", "pwd", "secret")


def is_secret(name: str, text: str) -> bool:
    """Tell whether a text that a name is given can be the secret itself."""
    if "PRIVATE KEY-----\n" in text or re.match(r"(?i)change[\W_]?(me|this)", text):
        return True
    words = re.split(r"[\W_]+", name.lower())
    names = {"".join(words[start:]) for start in range(len(words))}
    is_label = _LABEL.fullmatch(text) or re.sub(r"[\W_]+", "", text.lower()) in names or re.search(r"\s", text)
    return not is_label and not refers_elsewhere(text)


def refers_elsewhere(text: str) -> bool:
    """Tell whether a text says where a secret is, or that one is missing."""
    return _ELSEWHERE.fullmatch(text) is not None


def is_url_with_password(text: str) -> bool:
    """Tell whether a text is a URL of another machine with a password; `user:user@` is none."""
    if not re.match(r"[a-z][a-z0-9+.-]*://[^\s/]*:[^\s/]+@[^\s/]", text):
        return False
    try:
        parts = urlsplit(text)
        user, password, host = parts.username, parts.password or "", parts.hostname or ""
    except ValueError:
        return False
    local = host in _OPEN_HOSTS or host.endswith(_OPEN_ENDS) or re.fullmatch(r"127\.[\d.]+|0\.0\.0\.0|::1", host)
    return not local and password not in (user, *_NO_PASSWORDS) and not refers_elsewhere(password)
