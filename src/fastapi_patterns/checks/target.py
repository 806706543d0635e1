"""The application under check, and what the configuration says about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from fastapi import FastAPI

from fastapi_patterns._routes import Endpoint, endpoints, tree
from fastapi_patterns.checks.modules import modules_of, variables_of
from fastapi_patterns.checks.source import Function, Source, function_of, module_tree

__all__ = ["Target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What rules look at.

    Attributes:
        app: The application, imported and not started.
        module: The name of its module.
        public: Paths that strangers may reach, with `*` for any part.
    """

    app: FastAPI
    module: str
    public: Sequence[str] = ()

    @cached_property
    def endpoints(self) -> list[Endpoint]:
        """Everything that requests reach; a mount at the root has the path `/`."""
        return [endpoint._replace(path=endpoint.path or "/") for endpoint in endpoints(self.app)]

    @cached_property
    def functions(self) -> list[tuple[str, Function]]:
        """The application's own functions that serve requests, each once: endpoints and their dependencies."""
        found: dict[int, tuple[str, Function]] = {}
        for endpoint in self.endpoints:
            for call in (endpoint.answering, *tree(endpoint.dependant)):
                function = function_of(call)
                if function is not None:
                    found.setdefault(id(function.node), (str(endpoint), function))
        return list(found.values())

    @cached_property
    def sources(self) -> list[Source]:
        """The application's own modules."""
        return [Source(tree, file, names) for file, names in self._modules if (tree := module_tree(file)) is not None]

    @cached_property
    def unread(self) -> list[str]:
        """The files of its modules that are Python and cannot be parsed."""
        return [file for file, _ in self._modules if file.endswith(".py") and module_tree(file) is None]

    @cached_property
    def _modules(self) -> list[tuple[str, dict[str, Any]]]:
        found = [variables_of(module) for module in modules_of(self.module)]
        return [(str(names["__file__"]), names) for names in found]

    def is_public(self, endpoint: Endpoint) -> bool:
        """Tell whether the configuration lets strangers in."""
        return any(_matches(endpoint, pattern) for pattern in self.public)

    @cached_property
    def stale(self) -> list[str]:
        """What `public` names and is no route."""
        return [
            pattern for pattern in self.public if not any(_matches(endpoint, pattern) for endpoint in self.endpoints)
        ]


def _matches(endpoint: Endpoint, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (endpoint.path, f"{endpoint.method} {endpoint.path}"))
