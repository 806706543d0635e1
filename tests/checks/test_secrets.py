"""Secrets in the code and tokens that are not verified: what is found, and what only looks like it."""

import pytest

from tests.checks.conftest import Project

SECRETS = """
import os
from os import environ, getenv
from pydantic import BaseModel, Field, SecretStr
from starlette.config import Config
from starlette.middleware.sessions import SessionMiddleware
config = Config(environ={})

SECRET_KEY = "changeme"  # found
SECRET_KEY = "CHANGE_ME"  # found
jwt_secret: str = "abc"  # found
SIGNING_KEY = b"k3"  # found
DB_PASSWORD = "password1"  # found
API_KEY = SecretStr("k3-k3-k3")  # found
API_KEY = "AKIAIOSFODNN7EXAMPLE"  # found
USER, PASSWORD = "ada", "hunter2"  # found
PRIVATE_KEY = '-----BEGIN PRIVATE KEY-----\\nMC4C\\n-----END PRIVATE KEY-----\\n'  # found
CONFIG = {"NAME": "shop", "SECRET_KEY": "hunter2"}  # found
CONFIG = {
    "NAME": "shop",
    "SECRET_KEY": "hunter2",  # found
}
SECRET_KEY = (  # found
    "hunter"
    "2"
)
class Settings(BaseModel):
    secret_key: str = Field("hunter2")  # found
    jwt_secret: str = Field(default="hunter2", min_length=3)  # found
    api_key: SecretStr = SecretStr("hunter2")  # found
settings = Settings(secret_key="hunter2")  # found
app.add_middleware(SessionMiddleware, secret_key="hunter2")  # found
class Mail:
    def __init__(self):
        self.password = "hunter2"  # found

a = os.getenv("SECRET_KEY", "changeme")  # found
b = os.environ.get("SECRET_KEY", "dev-secret")  # found
c = os.environ.get("DB_PASSWORD", default="password")  # found
d = getenv("SECRET_KEY") or "changeme"  # found
e = environ.setdefault("SECRET_KEY", "changeme")  # found
f = config("SECRET_KEY", default="changeme")  # found
g = dict(key=os.getenv("JWT_SECRET", "secret"))  # found

DATABASE_URL = "postgresql://app:hunter2@db/app"  # found
url = os.getenv("DATABASE_URL", "redis://:hunter2@cache:6379")  # found
"""

NO_SECRETS = '''
"""SECRET_KEY = "hunter2" and postgresql://app:hunter2@db/app"""
import os
from enum import Enum, StrEnum
from typing import Literal
from pydantic import BaseModel, Field

class Scope(StrEnum):
    RESET_PASSWORD = "k3"
    API_KEY = "k4"
class Kind(str, Enum):
    password = "k5"
class Columns:
    password = "password"
    api_key = "Api key"

PASSWORD_SECRET = "kv/data/shop/jwt"
AWS_SECRET = "arn:aws:secretsmanager:eu-west-1:1:secret:shop"
GCP_SECRET = "projects/12/secrets/shop/versions/latest"
HEADER_API_KEY = "X-API-Key"
COOKIE_API_KEY = "api-key"
ENV_API_KEY = "MYAPP_API_KEY"
private_key = "/run/secrets/private.pem"
private_key = "private.pem"
SIGNING_KEY = "file:///etc/keys/private.pem"
INVALID_PASSWORD = "INVALID_PASSWORD"
SECRET_KEY = "SECRET_KEY"
client_secret = "client_secret"
SCOPE_RESET_PASSWORD = "reset:password"
EVENT_PASSWORD = "user.changed_it"
MSG_WRONG_PASSWORD = "Wrong user name or password"
MASK_PASSWORD = "********"
jwt_secret = "${JWT_SECRET}"
jwt_secret = "<your secret>"
jwt_secret = "{{ jwt_secret }}"
grant_password: Literal["password", "code"] = "code"
password = ""
password = None
secret_name = "hunter2"

SECRET_KEY = os.getenv("SECRET_KEY")
SECRET_KEY = os.getenv("SECRET_KEY", "")
SECRET_KEY = os.getenv("SECRET_KEY") or ""
PRIVATE_KEY = os.getenv("PRIVATE_KEY", "/run/secrets/private.pem")
name = os.getenv("NAME", "hunter2")
labels = {"password": "hunter2", "api_key": "hunter2"}
other = labels.get("SECRET_KEY", "hunter2")

class Login(BaseModel):
    """postgresql://app:hunter2@db/app"""
    name: str
    password: str = Field(description="At least 12 letters", examples=["hunter2"])
login = Field(examples=[Login(name="ada", password="hunter2"), "postgresql://app:hunter2@db/app"])

urls = ["https://shop.example/reset?password=1", "postgresql://db/app", "postgresql://app@db/app"]
urls += ["postgresql://app:hunter2@localhost/app", "postgresql://app:hunter2@127.0.0.1:5432/app"]
urls += ["postgresql://postgres:postgres@db/app", "postgresql://user:password@host/db"]
urls += ["postgresql://app:${PASSWORD}@db/app", "postgresql://app:{password}@db/app", "https://a:b@shop.example"]
urls += [f"postgresql://app:{login}@db/app"]
'''

TOKENS = """
import jwt
from jose import jwt as jose_jwt
from jwt import decode
OPTIONS = {"verify_signature": False}
ALGORITHMS = ["HS256", "none"]
def a(token): return jwt.decode(token, options={"verify_signature": False})  # found
def b(token): return jwt.decode(token, options=OPTIONS)  # found
def c(token): return jwt.decode(token, options=dict(verify_signature=False))  # found
def d(token): return jwt.decode_complete(token, options=OPTIONS)  # found
def e(token): return jwt.decode(token, "", ["none"])  # found
def f(token): return jwt.decode(token, "", ["HS256"], OPTIONS)  # found
def g(token): return jwt.decode(token, "", algorithms=ALGORITHMS)  # found
def h(token): return decode(token, options=OPTIONS)  # found
def i(token): return jose_jwt.get_unverified_claims(token)["sub"]  # found
read = lambda token: jwt.decode(token, options=OPTIONS)  # found
def j(token):
    from jose import jwt as inner
    import jwt as again, jwt
    return jwt.decode(token, options=OPTIONS)["sub"]  # found
def two(token, other):
    claims = jwt.decode(token, options=OPTIONS)  # found
    return claims, jwt.decode(other, "key", algorithms=["HS256"])
def debug(token, is_debug):
    if is_debug:
        return jwt.decode(token, options=OPTIONS)["sub"]  # found
    return jwt.decode(token, "key", algorithms=["HS256"])["sub"]
"""

VERIFIED = """
import jwt
from jose import jwt as jose_jwt
OPTIONS = {"verify_exp": False}
KEYS = {}
def issuers(token):
    issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
    return jwt.decode(token, KEYS[issuer], algorithms=["RS256"])
def own(token, codec):
    issuer = jose_jwt.get_unverified_claims(token)["iss"]
    return codec[issuer].decode(token)
def image(data, codec): return codec.decode(data, verify=False)
def text(data): return data.decode("utf-8")
def expired(token): return jwt.decode(token, "key", ["HS256"], OPTIONS)
def header(token): return jose_jwt.get_unverified_header(token)["kid"]
"""


@pytest.mark.parametrize(
    ("rule", "code"), [("FP501", SECRETS), ("FP501", NO_SECRETS), ("FP502", TOKENS), ("FP502", VERIFIED)]
)
def test_where_it_is_found(rule: str, code: str, project: Project) -> None:
    """In each line that says so, and in no other."""
    expected, found = project.lines(rule, code)
    assert found == expected


@pytest.mark.parametrize("code", [SECRETS, SECRETS.replace("hunter2", "correct-horse")])
def test_the_value_is_never_shown(code: str, project: Project) -> None:
    """Neither what is wrong nor what to write tells it."""
    project.write(main=f"from fastapi import FastAPI\napp = FastAPI()\n{code}")
    text = "\n".join(str(finding) for finding in project.check("FP501"))
    assert [value for value in ("hunter2", "correct-horse", "changeme", "k3", "MC4C") if value in text] == []


def test_a_fallback_has_words_of_its_own(project: Project) -> None:
    """The application starts without the secret, which is what to mend."""
    project.write(main="import os\nfrom fastapi import FastAPI\napp = FastAPI()\nos.getenv('SECRET_KEY', 'changeme')\n")
    (found,) = project.check("FP501")
    assert found.why.startswith("without SECRET_KEY the application starts")
    assert found.mend == "let it not start: os.environ['SECRET_KEY']"


PASSWORDS = """
import bcrypt
from passlib.context import CryptContext
from passlib.hash import argon2, hex_sha256, md5_crypt, pbkdf2_sha256
TESTING = False
passwords = CryptContext(schemes=["hex_sha256"])  # found
class Service:
    context = CryptContext(schemes=["md5_crypt"])  # found
    api_keys = CryptContext(schemes=["hex_sha256"])
api_key_context = CryptContext(schemes=["hex_sha256"])
api_key_context_2 = CryptContext(schemes=["md5_crypt"])  # found
def a(password): return pbkdf2_sha256.hash(password)  # found
def b(password): return md5_crypt.hash(password)  # found
def c(password): return argon2.hash(password)
def d(password): return pbkdf2_sha256.using(rounds=600_000).hash(password)
def e(body): return hex_sha256.hash(body)
def f(password): return bcrypt.hashpw(password, bcrypt.gensalt(4))  # found
def g(password): return bcrypt.hashpw(password, bcrypt.gensalt(rounds=4) if TESTING else bcrypt.gensalt())
def h(password): return bcrypt.hashpw(password, bcrypt.gensalt(4 if TESTING else 12))
"""


def test_passwords_that_are_hashed_too_cheaply(project: Project) -> None:
    """In each line that says so, and in no other."""
    expected, found = project.lines("FP504", PASSWORDS)
    assert sorted(found) == sorted(expected)
