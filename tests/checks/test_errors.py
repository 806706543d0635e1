"""What handlers and `except` blocks tell, and what is meant for clients."""

import pytest

from tests.checks.conftest import Check

START = """
import traceback
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
class OrderError(Exception): ...
class Gone(HTTPException): ...
def without_input(errors): return [{"loc": each["loc"]} for each in errors]
"""
BLOCK = """
@app.get("/")
def route():
    try: return 1
    except %s as exc:
        %s
"""
HANDLER = """
@app.exception_handler(%s)
def handle(request, exc): return JSONResponse({"detail": str(exc)})
"""
INVALID = """
@app.post("/")
def route(item: dict[str, str]): ...
@app.exception_handler(RequestValidationError)
def handle(request, exc):
    %s
"""

TELLS = {
    "a dictionary": BLOCK % ("Exception", "return {'error': str(exc)}"),
    "one of several": BLOCK % ("(ValueError, Exception)", "raise HTTPException(400, str(exc))"),
    "a name": BLOCK % ("Exception", "text = f'failed: {exc}'; raise HTTPException(400, detail=text)"),
    "with %": BLOCK % ("Exception", "raise HTTPException(400, 'failed: %s' % exc)"),
    "format": BLOCK % ("Exception", "raise HTTPException(400, 'failed: {}'.format(exc))"),
    "args": BLOCK % ("Exception", "raise HTTPException(400, 'failed: ' + exc.args[0])"),
    "traceback": BLOCK % ("Exception", "return JSONResponse(traceback.format_exc())"),
    "otherwise": BLOCK
    % ("Exception", "if isinstance(exc, OrderError): raise\n        else: raise HTTPException(400, str(exc))"),
    "Exception": HANDLER % "Exception",
    "500": HANDLER % "500",
    "of others": HANDLER % "ValueError",
    "method": "class Handlers:\n    def any(self, request, exc): return JSONResponse(str(exc))\n"
    "app.add_exception_handler(Exception, Handlers().any)",
}
TELLS_NOTHING = {
    "own class": HANDLER % "OrderError",
    "HTTPException": HANDLER % "HTTPException",
    "own HTTPException": HANDLER % "Gone",
    "404": HANDLER % "404",
    "asked for": BLOCK % ("Exception", "if isinstance(exc, OrderError): raise HTTPException(400, str(exc))"),
    "own block in it": BLOCK
    % (
        "Exception",
        "\n        try: return 2\n        except OrderError as exc: raise HTTPException(400, str(exc))",
    ),
    "logged": BLOCK % ("Exception", "text = 'failed'; print(f'{exc}'); raise HTTPException(400, text)"),
    "its id": BLOCK % ("Exception", "return {'id': str(id(exc))}"),
    "a dependency's own": "def read():\n    try: return {}\n    except Exception as exc: return {'error': str(exc)}\n"
    "@app.get('/')\ndef route(found: Annotated[dict, Depends(read)]): ...",
}
ECHOES = {
    "encoded": "return JSONResponse(jsonable_encoder({'detail': exc.errors(), 'body': 1}), 422)",
    "body": "return JSONResponse(status_code=422, content=jsonable_encoder({'detail': [], 'body': exc.body}))",
    "errors": "return JSONResponse({'errors': exc.errors()}, 422)",
    "FastAPI's": "print(exc)\n    return request_validation_exception_handler(request, exc)",
}
DOES_NOT_ECHO = {
    "comprehension": "return JSONResponse({'errors': [e['msg'] for e in exc.errors()]}, 422)",
    "own function": "return JSONResponse({'errors': without_input(exc.errors())}, 422)",
    "logged": "print(exc.errors(), exc.body)\n    return JSONResponse({}, 422)",
}
SUB = """
from fastapi.responses import JSONResponse
sub = FastAPI(%s)
@sub.post("/")
def login(item: dict[str, str]): ...
app.mount("/sub", sub)
app.mount("/again", sub)
"""


@pytest.mark.parametrize("code", TELLS.values(), ids=TELLS)
def test_tells(code: str, check: Check) -> None:
    """The text of what anybody may have raised."""
    assert len(check("FP602", START + code)) == 1


@pytest.mark.parametrize("code", TELLS_NOTHING.values(), ids=TELLS_NOTHING)
def test_tells_nothing(code: str, check: Check) -> None:
    """That is not meant for clients."""
    assert check("FP602", START + code) == []


@pytest.mark.parametrize("code", ECHOES.values(), ids=ECHOES)
def test_echoes(code: str, check: Check) -> None:
    """In a handler of the application's own, at its line."""
    (found,) = check("FP601", START + INVALID % code)
    assert ".py:" in found.place


@pytest.mark.parametrize("code", DOES_NOT_ECHO.values(), ids=DOES_NOT_ECHO)
def test_does_not_echo(code: str, check: Check) -> None:
    """What it sends is its own."""
    assert check("FP601", START + INVALID % code) == []


def test_the_package_does_not_echo(check: Check) -> None:
    """Which is what the finding says to write."""
    code = "@app.post('/')\ndef route(item: dict[str, str]): ..."
    assert len(check("FP601", code)) == 1
    assert (
        check("FP601", f"from fastapi_patterns import install_error_handlers\ninstall_error_handlers(app)\n{code}")
        == []
    )


def test_a_body_in_a_dependency(check: Check) -> None:
    """Is in a 422 too."""
    code = "def read(item: dict[str, str]): ...\n@app.post('/', dependencies=[Depends(read)])\ndef route(): ..."
    assert len(check("FP601", code)) == 1


@pytest.mark.parametrize(
    ("rule", "options", "place"),
    [
        ("FP601", "", "RequestValidationError of /sub"),
        ("FP603", "debug=True", "FastAPI(debug=True) of /sub"),
        ("FP602", "exception_handlers={Exception: lambda request, exc: JSONResponse(str(exc))}", None),
    ],
)
def test_an_application_that_is_mounted(rule: str, options: str, place: str | None, check: Check) -> None:
    """Has answers of its own; a lambda cannot be read."""
    assert [found.place for found in check(rule, SUB % options)] == ([] if place is None else [place])


def test_a_handler_of_an_application_that_is_mounted(check: Check) -> None:
    """Is read as that of the outer one."""
    code = "def tell(request, exc): return JSONResponse(str(exc))\n" + SUB % "exception_handlers={Exception: tell}"
    assert len(check("FP602", code)) == 1
