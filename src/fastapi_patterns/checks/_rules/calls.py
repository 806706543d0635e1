"""Calls that hold up other requests, or cost too much on each."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

from starlette.background import BackgroundTask, BackgroundTasks

from fastapi_patterns.checks.source import Function, calls, dotted_name, place_of, resolved
from fastapi_patterns.checks.syntax import method_or_function, names_in, qualified, within
from fastapi_patterns.checks.target import Target

__all__ = ["blocking", "client_per_request", "long_tasks"]

_HTTP = ("requests", "httpx", "httpx2")
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream")
_BLOCKING = {
    "time.sleep": "await asyncio.sleep(...)",
    "urllib.request.urlopen": "await a shared async client",
    **{f"subprocess.{name}": "await anyio.run_process(...)" for name in ("run", "call", "check_call", "check_output")},
    "os.system": "await anyio.run_process(...)",
    **{f"{module}.{method}": "await a shared async client" for module in _HTTP for method in _METHODS},
}
_SYNC_CLIENTS = ("httpx.Client", "httpx2.Client", "requests.Session")
_CLIENTS = (*_SYNC_CLIENTS, "httpx.AsyncClient", "httpx2.AsyncClient", "aiohttp.ClientSession")
_KEPT_IN = re.compile(r"^(requests|aiohttp)\.(?:api|sessions|client)\.")
_WAITING = ("asyncio.sleep", "anyio.sleep", "smtplib.SMTP", "smtplib.SMTP_SSL", "aiosmtplib.send")
_QUERIES = ("execute", "exec", "scalar", "scalars", "query", "get", "commit", "flush", "refresh", "merge", "rollback")


def blocking(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find them in `async def` functions that serve requests; `def` ones run in threads."""
    for _, function in target.functions:
        if isinstance(function.node, ast.AsyncFunctionDef):
            for line, name, instead in _blocking(function):
                yield (
                    place_of(function.file, line),
                    f"{name} in the async function {qualified(function)} holds up every other request",
                    f"{instead}, or make it a def function",
                )


def client_per_request(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find HTTP clients that are made in functions which serve requests, and not kept."""
    for _, function in target.functions:
        if _is_cached(function):
            continue
        names, kept = names_in(function), set(_kept(function))
        for call in calls(function.node):
            name = _name_of(call.func, names)
            if name in _CLIENTS and call not in kept and not _is_local(call):
                yield (
                    place_of(function.file, call.lineno),
                    f"{name} is made for each call of {qualified(function)}: a TLS context and a connection each time",
                    "make one when the application starts, and share it",
                )


def long_tasks(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find background tasks of Starlette's that wait for the network, for mail or for time."""
    for _, function in target.functions:
        names = names_in(function)
        for call in calls(function.node):
            task = _task_of(call, function)
            work = None if task is None else method_or_function(task, names)
            waits = None if work is None else next(_waits(work), None)
            if work is not None and waits is not None:
                yield (
                    place_of(function.file, call.lineno),
                    f"the background task {work.node.name} calls {waits}: it ends with the process, and is tried once",
                    "hand it to a queue that keeps it, or see that it may be lost",
                )


def _task_of(call: ast.Call, function: Function) -> ast.expr | None:
    """Give what a call hands over to be run after the response."""
    if not call.args:
        return None
    if resolved(call.func, function.names) is BackgroundTask:
        return call.args[0]
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "add_task"):
        return None
    owner = call.func.value
    every = function.node.args
    for parameter in (*every.posonlyargs, *every.args, *every.kwonlyargs):
        if isinstance(owner, ast.Name) and parameter.arg == owner.id and parameter.annotation is not None:
            kind = resolved(parameter.annotation, function.names)
            return call.args[0] if isinstance(kind, type) and issubclass(kind, BackgroundTasks) else None
    return None


def _waits(function: Function) -> Iterator[str]:
    names = names_in(function)
    for call in calls(function.node):
        name = _name_of(call.func, names)
        if (name in _BLOCKING or name in _CLIENTS or name in _WAITING) and not _is_for_nothing(call):
            yield str(name)


def _blocking(function: Function) -> Iterator[tuple[int, str, str]]:
    """Give the line of each call that blocks, its name, and what to write instead; of a database session the first."""
    names = names_in(function)
    sessions = set(_sessions(function))
    for call in calls(function.node):
        name = _name_of(call.func, names)
        if name in _BLOCKING:
            if not _is_for_nothing(call):
                yield call.lineno, name, _BLOCKING[name]
        elif isinstance(call.func, ast.Attribute):
            owner, method = call.func.value, call.func.attr
            if isinstance(owner, ast.Name) and owner.id in sessions and method in _QUERIES:
                sessions.clear()
                yield call.lineno, f"{owner.id}.{method} of SQLAlchemy's Session", "await an AsyncSession"
            elif method in (*_METHODS, "send") and _is_a(type(resolved(owner, names)), *_SYNC_CLIENTS):
                yield call.lineno, ast.unparse(call.func), "await a shared async client"


def _is_for_nothing(call: ast.Call) -> bool:
    """Tell whether it is `sleep(0)`, which lets others run."""
    return ast.unparse(call).endswith("sleep(0)")


def _sessions(function: Function) -> Iterator[str]:
    """Name the parameters that are a session of SQLAlchemy's, one that does not await."""
    every = function.node.args
    for parameter in (*every.posonlyargs, *every.args, *every.kwonlyargs):
        kind = parameter.annotation
        if isinstance(kind, ast.Subscript) and resolved(kind.value, function.names) is Annotated:
            kind = kind.slice.elts[0] if isinstance(kind.slice, ast.Tuple) else kind.slice
        found = None if kind is None else resolved(kind, function.names)
        if type(found) is type(Annotated[int, 0]):  # an alias of it
            found = get_args(found)[0]
        if isinstance(found, type) and _is_a(found, "sqlalchemy.orm.session.Session"):
            yield parameter.arg


def _is_cached(function: Function) -> bool:
    """Tell whether a decorator keeps what a function returns: `functools.cache` and others with such a name."""
    decorators = (each.func if isinstance(each, ast.Call) else each for each in function.node.decorator_list)
    return any("cache" in ast.unparse(each) for each in decorators)


def _kept(function: Function) -> Iterator[ast.AST]:
    """Give what is made where it is not there yet, and kept: in an `if` or `except`, for a global or an attribute."""
    shared = {name for node in within(function.node) if isinstance(node, ast.Global) for name in node.names}
    for block in within(function.node):
        if isinstance(block, ast.If | ast.ExceptHandler):
            for node in within(block):
                if isinstance(node, ast.Assign) and any(
                    isinstance(each, ast.Attribute | ast.Subscript)
                    or (isinstance(each, ast.Name) and each.id in shared)
                    for each in node.targets
                ):
                    yield from ast.walk(node.value)


def _is_local(call: ast.Call) -> bool:
    """Tell whether a client has a transport of its own, which needs no network, such as `ASGITransport`."""
    given = [each.value for each in call.keywords if each.arg == "transport"]
    return bool(given) and "HTTPTransport(" not in ast.unparse(given[0])


def _name_of(node: ast.expr, names: Mapping[str, Any]) -> str | None:
    """Write what is called as it is known, and not where it is kept."""
    name = dotted_name(node, names)
    return None if name is None else _KEPT_IN.sub(r"\1.", name)


def _is_a(kind: type, *names: str) -> bool:
    """Tell whether a class is one of these, which are named so that nothing has to be imported."""
    every = [f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__]
    return any(_KEPT_IN.sub(r"\1.", name) in names or name in names for name in every)
