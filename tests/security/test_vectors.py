"""Every token vector gets its verdict through the public API."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastapi_patterns.security import Key, KeySet
from tests.vectors import run_tokens

VECTORS = Path(__file__).parent.parent / "vectors"
TOKENS = json.loads((VECTORS / "jwt_tokens.json").read_text())


@pytest.mark.parametrize("case", TOKENS["cases"], ids=lambda case: case["id"])
def test_token(case: dict[str, Any]) -> None:
    """The token is accepted or refused as the vector says, in under a second, and no foreign exception leaves."""
    result = run_tokens.run_case(TOKENS, case)
    assert not result.foreign, result
    assert not result.wrong, (result, case["reason"])


class TestRunner:
    """The runner tells right from wrong, whatever form the cases have."""

    KEY = Key.generate("ES256", kid="one")
    JWK = KEY.public_jwk()
    JWS = KeySet([KEY]).sign(b"text")

    @pytest.mark.parametrize(
        ("case", "got"),
        [
            ({"jwk": JWK, "jws": JWS}, "accept"),
            ({"jwk": JWK, "token": JWS, "level": "jws"}, "accept"),
            ({"jwks": {"keys": [JWK]}, "jws": JWS, "payload": "text"}, "accept"),
            ({"keys": [JWK], "jws": JWS, "payload_hex": b"text".hex()}, "accept"),
            ({"key": "set", "jws": JWS, "payload_b64url": "dGV4dA"}, "accept"),
            ({"key": JWK, "jws": JWS, "payload": "another"}, "accept of another payload"),
            ({"jwk": JWK, "jws": JWS + "A"}, "reject"),
            ({"jwk": JWK, "token": JWS}, "reject"),
            ({"jwk": JWK}, "accept"),
            ({"jwk": {**JWK, "x": JWK["y"]}}, "reject"),
            ({"key": "missing", "jws": JWS}, "KeyError: 'missing'"),
        ],
    )
    def test_a_case_of_jws(self, case: dict[str, Any], got: str) -> None:
        """An inline JWK, a set or a named key verifies a JWS; without one the key is judged."""
        document = {"policy": {"audience": "api"}, "keys": {"set": {"jwks": {"keys": [self.JWK]}}}}
        result = run_tokens.run_case(document, {"id": 1, "expect": "accept", **case})
        assert result.got == got
        assert result.foreign is got.startswith("KeyError")
        assert result.wrong is (got != "accept" and not result.foreign)

    def test_a_key_for_all(self) -> None:
        """A document may bring one set for all of its cases."""
        results = run_tokens.run({"jwks": {"keys": [self.JWK]}, "cases": [{"id": "a", "jws": self.JWS}]})
        assert [(r.got, r.wrong) for r in results] == [("accept", False)]

    def test_groups(self) -> None:
        """Groups of published collections bring a key each, and say valid or invalid."""
        tests = [{"tcId": 1, "jws": self.JWS, "result": "valid"}, {"tcId": 2, "jws": "", "result": "invalid"}]
        results = run_tokens.run({"testGroups": [{"public": self.JWK, "private": {}, "tests": tests}]})
        assert [(r.id, r.got, r.wrong) for r in results] == [("1", "accept", False), ("2", "reject", False)]

    @pytest.mark.parametrize(("expect", "code"), [("reject", 0), ("accept", 1)])
    def test_the_command(self, tmp_path: Path, expect: str, code: int) -> None:
        """The last line counts what is wrong, and the exit code says whether anything is."""
        file = tmp_path / "cases.json"
        file.write_text(json.dumps({"cases": [{"id": "a", "jwk": self.JWK, "jws": "", "expect": expect}]}))
        done = subprocess.run(
            [sys.executable, "-m", "tests.vectors.run", str(file)], capture_output=True, text=True, check=False
        )
        assert done.stdout.splitlines()[-1] == f"1 cases, {code} wrong, 0 foreign exceptions"
        assert done.returncode == code
