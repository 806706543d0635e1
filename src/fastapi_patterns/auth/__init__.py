"""The current user and login sessions in FastAPI, over the tokens of `fastapi_patterns.security`.

Needs the extra `security`; the store in a database, in `fastapi_patterns.auth.stores`, needs `db`.
"""

from fastapi_patterns.auth.current_user import CurrentUserDependency, make_current_user
from fastapi_patterns.auth.sessions import IssuedTokens, LoginSessions
from fastapi_patterns.auth.stores import InMemoryTokenStore, TokenStore

__all__ = [
    "CurrentUserDependency",
    "InMemoryTokenStore",
    "IssuedTokens",
    "LoginSessions",
    "TokenStore",
    "make_current_user",
]
