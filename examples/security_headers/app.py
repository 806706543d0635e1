"""The headers come from outside of everything, so that no answer is without them."""

from fastapi import FastAPI
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, StrictTransportSecurity, XContentTypeOptions
from secure.middleware import SecureASGIMiddleware

from fastapi_patterns import install_stack

app = FastAPI(docs_url=None, redoc_url=None)  # the docs page loads scripts, which this policy refuses
install_stack(app, allow_origins=["https://app.example"])

HEADERS = Secure(
    csp=ContentSecurityPolicy().default_src("'none'").frame_ancestors("'none'"),  # an answer of an API is no page
    hsts=StrictTransportSecurity().max_age(31_536_000).include_subdomains(),
    referrer=ReferrerPolicy().no_referrer(),
    xcto=XContentTypeOptions().nosniff(),
)
served = SecureASGIMiddleware(app, secure=HEADERS)  # uvicorn examples.security_headers.app:served


@app.get("/hello")
def hello() -> str:
    """Greet."""
    return "Hello"


@app.get("/broken")
def broken() -> str:
    """Fail in a way that nobody handles."""
    raise RuntimeError("a bug")
