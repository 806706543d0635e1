"""Compares the names that `constraints` answers with those that the tables have: a name with a typo answers nothing."""

import logging
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from sqlalchemy import MetaData

__all__ = ["unknown_names", "warn_of_unknown_names"]

_log = logging.getLogger("fastapi_patterns.db")

# What PostgreSQL makes up for a constraint without a name, behind its table's.
_MADE_UP = re.compile(r"_(?:.+_)?(?:pkey|key|fkey|check|excl|not_null)\d*")


def warn_of_unknown_names(names: Iterable[str], metadata: MetaData | None) -> None:
    """Log a warning for each name that no table has, with those that are near.

    A warning and no error: a constraint that only a migration makes is not in the metadata.
    """
    for name, near in unknown_names(names, metadata):
        _log.warning(
            "constraints: no constraint and no unique index of the metadata is called %r%s. Unless a migration makes "
            "it that the models do not know, nothing is answered with its text. Names come from the models: "
            "UniqueConstraint(..., name=...), or MetaData(naming_convention=...) for all of them.",
            name,
            f"; near it: {', '.join(map(repr, near))}" if near else "",
        )


def unknown_names(names: Iterable[str], metadata: MetaData | None) -> Iterator[tuple[str, list[str]]]:
    """Yield each name that the metadata's tables do not have, with those that are near; none where it has no tables."""
    if metadata is None or not metadata.tables:
        return
    known: set[str] = set()
    unnamed: set[str] = set()  # the tables with constraints that the server names
    for table in metadata.tables.values():
        known.update(str(index.name) for index in table.indexes if index.unique)
        for constraint in table.constraints:
            if isinstance(constraint.name, str):
                known.add(str(constraint.name))
            else:
                unnamed.add(table.name)
    for name in names:
        made_up = any(name.startswith(table) and _MADE_UP.fullmatch(name, len(table)) for table in unnamed)
        # SQLite calls a check without a name by its expression.
        if name not in known and not made_up and name.isidentifier():
            yield name, get_close_matches(name, sorted(known))
