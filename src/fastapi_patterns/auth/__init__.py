"""The current user as a FastAPI dependency, over the tokens of `fastapi_patterns.security`.

Needs the extra `security`.
"""

from fastapi_patterns.auth.current_user import CurrentUserDependency, make_current_user

__all__ = ["CurrentUserDependency", "make_current_user"]
