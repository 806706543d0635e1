"""Runs token vectors through the public API in its default strictness, and says what each case got.

A document has `cases`, and mostly `keys` and a `policy` (audience, issuer, leeway in seconds, now as a timestamp); a
case names its `key` (`name` or `name:form`, forms as in `keys`) and the relying party's `algorithms`, or brings a
`jwk`, a `jwks` or `keys` of its own. What is asked depends on the case:

- without a `token` or `jws`: whether the key, or the set, can be made at all;
- at the level of JWS when the case has `jws` or an expected `payload`, when its `level` or `kind` (or that of the
  policy or the document) is "jws", or when the document has no policy: whether `KeySet.verify` gives the payload;
- else at the level of JWT: whether `TokenCodec.decode` takes the token as an access token.

Documents of the form `testGroups` with `tests`, as published collections have it, run at the level of JWS.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Key, KeySet, TokenCodec, TokenConfig, TokenError
from tests.vectors.result import Result

__all__ = ["TokenResult", "cases_of", "run", "run_case"]

_MAX_SECONDS = 1.0
_VERDICTS = {"accept": "accept", "valid": "accept", "reject": "reject", "invalid": "reject"}
_FORMS = ("secret", "public", "pem", "private", "jwk", "jwks")


@dataclass(frozen=True, kw_only=True)
class TokenResult(Result):
    """What a case got, and how long it took."""

    seconds: float


def run(document: Mapping[str, Any]) -> list[TokenResult]:
    """Run all cases of a document."""
    return [run_case(document, case) for case in cases_of(document)]


def run_case(document: Mapping[str, Any], case: Mapping[str, Any]) -> TokenResult:
    """Run one case of a document."""
    foreign = False
    start = time.perf_counter()
    try:
        got = _verdict(document, case)
    except (TokenError, ConfigurationError):
        got = "reject"
    except Exception as error:
        got, foreign = f"{type(error).__name__}: {error}", True
    seconds = time.perf_counter() - start
    expected = _VERDICTS.get(case.get("expect", case.get("result", "")), "no_crash")
    wrong = not foreign and (seconds > _MAX_SECONDS or expected not in (got, "no_crash"))
    return TokenResult(
        id=str(case.get("id", case.get("tcId", "?"))),
        expected=expected,
        got=f"{got} after {seconds:.1f} s" if seconds > _MAX_SECONDS else got,
        wrong=wrong,
        foreign=foreign,
        seconds=seconds,
    )


def cases_of(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the cases of a document; each of a group brings the group's key, the public one when there is one."""
    yield from document.get("cases", ())
    for group in document.get("testGroups", ()):
        for test in group["tests"]:
            yield {"keys": group.get("public") or group.get("private"), **test}


def _verdict(document: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    key_sets = _key_sets(document, case)
    compact = _compact(case)
    if compact is None:
        return "accept"
    own = {name: case[name] for name in ("audience", "issuer", "leeway", "now") if name in case}
    policy = {**document.get("policy", {}), **case.get("policy", {}), **own}
    check = _verifier(case, compact) if _is_jws(document, case) else _decoder(policy, compact)
    refused: TokenError | None = None
    for keys in key_sets:
        try:
            return check(keys)
        except TokenError as error:
            refused = error
    raise refused or ConfigurationError("no key fits")


def _compact(case: Mapping[str, Any]) -> Any:
    if "token_gen" in case:
        made = case["token_gen"]
        return made["prefix"] + made["unit"] * made["n"] + made["suffix"]
    return case.get("jws", case.get("token"))


def _is_jws(document: Mapping[str, Any], case: Mapping[str, Any]) -> bool:
    if "jws" in case or _expected_payload(case) is not None or "policy" not in document:
        return True
    places = (case, document["policy"], document)
    return any("jws" in (place.get("level"), place.get("kind")) for place in places)


def _verifier(case: Mapping[str, Any], compact: Any) -> Callable[[KeySet], str]:
    def verify(keys: KeySet) -> str:
        payload = keys.verify(compact)
        expected = _expected_payload(case)
        return "accept" if expected in (None, payload) else "accept of another payload"

    return verify


def _expected_payload(case: Mapping[str, Any]) -> bytes | None:
    if "payload_hex" in case:
        return bytes.fromhex(case["payload_hex"])
    for name in ("payload_b64url", "payload_b64"):
        if name in case:
            return base64.urlsafe_b64decode(case[name] + "=" * (-len(case[name]) % 4))
    payload = case.get("payload", case.get("payload_text"))
    return payload.encode() if isinstance(payload, str) else None


def _decoder(policy: Mapping[str, Any], compact: Any) -> Callable[[KeySet], str]:
    def decode(keys: KeySet) -> str:
        config = TokenConfig(
            keys=keys,
            issuer=policy.get("issuer"),
            audience=policy.get("audience"),
            leeway=timedelta(seconds=policy.get("leeway", 0)),
        )
        if "now" in policy:
            TokenCodec(config, now=lambda: datetime.fromtimestamp(policy["now"], UTC)).decode(compact)
        else:
            TokenCodec(config).decode(compact)
        return "accept"

    return decode


def _key_sets(document: Mapping[str, Any], case: Mapping[str, Any]) -> list[KeySet]:
    """Make what the relying party verifies with: a set of each algorithm, since a key has one."""
    algorithms = case.get("algorithms") or [case.get("algorithm")]
    form, key = _key_of(document, case)
    if form in ("jwk", "jwks") and isinstance(key, str):
        key = json.loads(key)
    if isinstance(key, Mapping):
        return _each(lambda algorithm: _of_jwk(form, key, algorithm), algorithms)
    mixed = len({str(algorithm).startswith("HS") for algorithm in algorithms}) > 1
    return _each(lambda algorithm: _of_text(form, key, algorithm), algorithms, skip=not mixed)


def _each(make: Callable[[Any], KeySet], algorithms: list[Any], *, skip: bool = True) -> list[KeySet]:
    """Make a set for each algorithm; a list that mixes secrets and public keys is one configuration, good or not."""
    made = []
    refused = None
    for algorithm in algorithms:
        try:
            made.append(make(algorithm))
        except ConfigurationError as error:
            if not skip:
                raise
            refused = error
    if not made and refused is not None:
        raise refused
    return made


def _key_of(document: Mapping[str, Any], case: Mapping[str, Any]) -> tuple[str, Any]:
    """Find the key and its form: inline in the case, by its name in the document, or the one of the whole document."""
    inline = _inline(case)
    if inline is None and "key" not in case:
        inline = _inline(document)
    if inline is not None:
        return _form_of(inline)
    name, _, form = case["key"].partition(":")
    entry = document["keys"][name]
    return (form, entry[form]) if form else _form_of(entry)


def _inline(place: Mapping[str, Any]) -> Any:
    for form in ("jwks", "jwk", "keys", "key"):
        key = place.get(form)
        if key is not None and not (form == "key" and isinstance(key, str)):
            return {"keys": key} if isinstance(key, list) else key
    return None


def _form_of(entry: Any) -> tuple[str, Any]:
    if isinstance(entry, str):
        return ("public" if "-----BEGIN " in entry else "secret"), entry
    if "kty" in entry or isinstance(entry.get("keys"), list):
        return ("jwk" if "kty" in entry else "jwks"), entry
    form = next((form for form in _FORMS if form in entry), None)
    return (form, entry[form]) if form else ("jwk", entry)


def _of_jwk(form: str, key: Mapping[str, Any], algorithm: str | None) -> KeySet:
    if form == "jwks" or "keys" in key:
        return KeySet.from_jwks(key, algorithm=algorithm)
    return KeySet([Key.from_jwk(key, algorithm=algorithm)])


def _of_text(form: str, text: str, algorithm: str | None) -> KeySet:
    if form == "secret" or (algorithm or "").startswith("HS"):
        return KeySet([Key.from_secret(text, algorithm=algorithm or "HS256")])
    data = base64.b64decode(text) if form == "der_b64" else text
    return KeySet([Key.from_pem(data, algorithm=algorithm)])
