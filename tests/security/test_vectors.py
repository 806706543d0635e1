"""Every HMAC case of the token vectors gets its verdict through the public API."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import TokenCodec, TokenConfig, TokenError

VECTORS = Path(__file__).parent.parent / "vectors"
TOKENS = json.loads((VECTORS / "jwt_tokens.json").read_text())
# Asymmetric keys are not supported: their cases do not apply.
HMAC_CASES = [
    case
    for case in TOKENS["cases"]
    if case.get("key", "").startswith("hs") and all(name.startswith("HS") for name in case["algorithms"])
]


def _token(case: dict[str, Any]) -> Any:
    if "token_gen" in case:
        made = case["token_gen"]
        return made["prefix"] + made["unit"] * made["n"] + made["suffix"]
    return case["token"]


def _accepted(case: dict[str, Any]) -> bool:
    policy = TOKENS["policy"]
    try:
        config = TokenConfig(
            secret_key=TOKENS["keys"][case["key"]]["secret"],
            algorithm=case["algorithms"][0],
            issuer=policy["issuer"],
            audience=policy["audience"],
            leeway=timedelta(seconds=policy["leeway"]),
        )
        TokenCodec(config).decode(_token(case))
    except (TokenError, ConfigurationError):
        return False
    return True


@pytest.mark.parametrize("case", HMAC_CASES, ids=lambda case: case["id"])
def test_token(case: dict[str, Any]) -> None:
    """The token is accepted or refused as the vector says, and no foreign exception leaves."""
    accepted = _accepted(case)
    if case["expect"] in ("accept", "reject"):
        assert accepted is (case["expect"] == "accept"), case["reason"]
    else:
        assert isinstance(accepted, bool)
