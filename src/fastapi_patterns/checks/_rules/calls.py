"""Calls that hold up other requests, or cost too much on each."""

import ast
from collections.abc import Iterator

from starlette.background import BackgroundTask, BackgroundTasks

from fastapi_patterns.checks.source import Function, calls, dotted_name, function_of, place_of, resolved
from fastapi_patterns.checks.target import Target

__all__ = ["blocking", "client_per_request", "long_tasks"]

_HTTP = ("requests", "httpx", "httpx2")
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream")
_BLOCKING = {
    "time.sleep": "await asyncio.sleep(...)",
    "urllib.request.urlopen": "await a shared async client",
    "subprocess.run": "await anyio.run_process(...)",
    "subprocess.check_output": "await anyio.run_process(...)",
    "os.system": "await anyio.run_process(...)",
    **{f"{module}.{method}": "await a shared async client" for module in _HTTP for method in _METHODS},
}
_CLIENTS = {
    *(f"{module}.{name}" for module in ("httpx", "httpx2") for name in ("Client", "AsyncClient")),
    "requests.Session", "requests.sessions.Session", "aiohttp.ClientSession", "aiohttp.client.ClientSession",
}  # fmt: skip
_WAITING = ("asyncio.sleep", "anyio.sleep", "smtplib.SMTP", "smtplib.SMTP_SSL", "aiosmtplib.send")


def blocking(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find them in `async def` functions that serve requests; `def` ones run in threads."""
    for _, function in target.functions:
        if isinstance(function.node, ast.AsyncFunctionDef):
            for call in calls(function.node):
                name = dotted_name(call.func, function.names)
                if name in _BLOCKING:
                    yield (
                        place_of(function.file, call.lineno),
                        f"{name} in the async function {function.node.name} holds up every other request",
                        f"{_BLOCKING[name]}, or make it a def function",
                    )


def client_per_request(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find HTTP clients that are made in functions which serve requests."""
    for _, function in target.functions:
        for call in calls(function.node):
            name = dotted_name(call.func, function.names)
            if name in _CLIENTS:
                yield (
                    place_of(function.file, call.lineno),
                    f"{name} is made for each call of {function.node.name}: a TLS context and a connection each time",
                    "make one when the application starts, and share it",
                )


def long_tasks(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find background tasks of Starlette's that wait for the network, for mail or for time."""
    for _, function in target.functions:
        for call in calls(function.node):
            task = _task_of(call, function)
            work = None if task is None else function_of(resolved(task, function.names))
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
    for call in calls(function.node):
        name = dotted_name(call.func, function.names)
        if name in _BLOCKING or name in _CLIENTS or name in _WAITING:
            yield str(name)
