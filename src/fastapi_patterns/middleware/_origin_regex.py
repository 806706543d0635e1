"""Reads a regular expression for origins: what it lets in by mistake, and how it would be written safely.

Pure. Starlette matches the whole origin, so what counts are dots and repeats inside the expression.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["lets_strangers_in", "slips", "wildcard_to_regex"]

_LABEL = "[a-z0-9-]+"
_SUBDOMAINS = r"(?:[a-z0-9-]+\.)"
# One token: an escape, a class, a group's opening (with its kind), a single character; then its quantifier.
_CLASS = r"\[\^?\]?(?:\\.|[^\]\\])*\]"
_OPENING = r"\((?:\?(?:P<\w+>|<?[=!]|[aiLmsux]*(?:-[imsx]+)?:|>))?"
_ATOM = re.compile(
    rf"(?P<skip>\(\?#[^)]*\)|\(\?[aiLmsux]+\)|[\^$]|\\[AZbB])|(?P<class>{_CLASS}|\\[dDwWsS])|(?P<open>{_OPENING})"
    r"|(?P<close>\))|(?P<alt>\|)|(?P<dot>\.)|(?P<literal>\\.|.)",
    re.DOTALL,
)
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d*,?\d*\})[?+]?")

# Hosts that nobody lists on purpose. A regex that matches both of a pair lets anybody in who buys a domain.
_STRANGERS = (
    ("evil.example", "attacker.test"),
    *((f"evil.{tld}", f"attacker.{tld}") for tld in ("com", "net", "org", "io", "dev", "app")),
)
_PORTS = ("", ":3000", ":5173", ":8000", ":8080", ":8443")


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    start: int
    quantifier: str
    closing: int = 0  # for an opening and an `|`: the index of the token that closes the group

    @property
    def end(self) -> int:
        return self.start + len(self.text) + len(self.quantifier)

    @property
    def optional(self) -> bool:
        return self.quantifier[:1] in ("*", "?") or self.quantifier.startswith(("{0", "{,"))

    @property
    def endless(self) -> bool:
        return self.quantifier[:1] in ("*", "+") or bool(re.match(r"\{\d*,\}", self.quantifier))

    @property
    def is_word(self) -> bool:
        return self.kind == "literal" and self.text.isalnum()


def lets_strangers_in(pattern: re.Pattern[str]) -> str | None:
    """Return an origin of a stranger that the expression matches, or None."""
    if pattern.fullmatch("null"):
        return "null"
    for pair in _STRANGERS:
        for scheme in ("https", "http"):
            for port in _PORTS:
                first, second = (f"{scheme}://{host}{port}" for host in pair)
                if pattern.fullmatch(first) and pattern.fullmatch(second):
                    return first
    return None


def slips(pattern: str) -> tuple[list[str], str]:
    """Find what a valid expression lets in by mistake.

    Returns:
        What is wrong, in words, once for each kind, and the expression as it would be safe.
    """
    tokens, found, edits = _tokens(pattern), [], []
    for index, token in enumerate(tokens):
        following = list(_following(tokens, index + 1))
        before = tokens[index - 1] if index else None
        if token.kind == "dot" and not token.endless:
            if any(next_.kind in ("literal", "class") and next_.text != r"\." for next_ in following):
                found.append("a dot that is not escaped matches any character")
                edits.append((token.start, token.end, rf"\.{token.quantifier}"))
        elif token.endless and token.kind in ("dot", "class"):
            host_begins = _host_begins(tokens, index)
            if any(next_.is_word for next_ in following) and (token.kind == "dot" or host_begins):
                found.append(f"{token.text}{token.quantifier} before a letter also matches a name that ends alike")
                edits.append((token.start, token.end, _safer_start(token, host_begins, index == 0)))
            elif token.kind == "dot" and not following and before is not None and before.is_word:
                found.append(f".{token.quantifier} at the end also matches a name that begins alike")
                edits.append((token.start, token.end, r"(?::\d+)?"))
    safer = pattern
    for start, end, text in reversed(edits):
        safer = safer[:start] + text + safer[end:]
    return list(dict.fromkeys(found)), safer


def wildcard_to_regex(origin: str) -> str:
    """Write an origin with `*` in it, which Starlette never matches, as the expression that is meant."""
    with_scheme = origin if "://" in origin else f"https://{origin}"
    escaped = re.sub(r"([.+?()\[\]{}|^$\\])", r"\\\1", with_scheme)
    return re.sub(r"\*+", _LABEL, re.sub(r":\*$", r":\\d+", escaped))


def _tokens(pattern: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(pattern):
        matched = _ATOM.match(pattern, position)
        if matched is None:  # cannot be: the last alternative takes any character
            break
        kind, position = str(matched.lastgroup), matched.end()
        quantifier = None if kind in ("open", "alt", "skip") else _QUANTIFIER.match(pattern, position)
        if quantifier is not None:
            position = quantifier.end()
        if kind != "skip":
            tokens.append(_Token(kind, matched[0], matched.start(), quantifier[0] if quantifier else ""))
    _match_groups(tokens)
    return tokens


def _match_groups(tokens: list[_Token]) -> None:
    waiting: list[list[_Token]] = [[]]
    for index, token in enumerate(tokens):
        if token.kind == "open":
            waiting.append([token])
        elif token.kind == "alt":
            waiting[-1].append(token)
        elif token.kind == "close" and len(waiting) > 1:
            for opened in waiting.pop():
                opened.closing = index
    for left in waiting[0]:  # an `|` outside every group ends at the end
        left.closing = len(tokens)


def _following(tokens: list[_Token], index: int) -> Iterator[_Token]:
    """Give every token that may match what comes at this place: into groups, out of them, past what is optional."""
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "open":
            yield from _first_of_group(tokens, index)
            if not tokens[token.closing].optional:
                return
            index = token.closing + 1
        elif token.kind == "alt":
            index = token.closing
        elif token.kind == "close":
            index += 1
        else:
            yield token
            if not token.optional:
                return
            index += 1


def _first_of_group(tokens: list[_Token], opening: int) -> Iterator[_Token]:
    closing = tokens[opening].closing
    starts = [
        opening,
        *(i for i in range(opening, closing) if tokens[i].kind == "alt" and tokens[i].closing == closing),
    ]
    for start in starts:
        yield from _following(tokens, start + 1)


def _host_begins(tokens: list[_Token], index: int) -> bool:
    before = index - 1
    while before >= 0 and tokens[before].kind == "open":
        before -= 1
    return before < 0 or tokens[before].text == "/"


def _safer_start(token: _Token, host_begins: bool, at_start: bool) -> str:
    repeat = "+" if token.quantifier[0] == "+" else "*"
    if not host_begins:
        return f"[a-z0-9-]{repeat}"
    return f"{'https://' if at_start else ''}{_SUBDOMAINS}{repeat}"
