"""Options for `create_engine`: those that SQLAlchemy would take without a word, and words for those that it refuses."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["check_engine_options", "check_no_session_options", "near_names"]

# The lowest values that SQLAlchemy's pools know: 0 and -1 stand for "no limit" and "never".
_POOL_MINIMUM = {"pool_size": 0, "max_overflow": -1, "pool_timeout": 0, "pool_recycle": -1}
_POOL_SECONDS = ("pool_timeout", "pool_recycle")

# What sessions take, not engines; `execution_options` and `future` are known to both.
_OF_SESSIONS = frozenset({
    "autobegin", "autocommit", "autoflush", "bind", "binds", "class_", "close_resets_only", "expire_on_commit", "info",
    "join_transaction_mode", "query_cls", "sync_session_class", "twophase",
})  # fmt: skip
# What people write: our own parameters, and SQLAlchemy's.
_KNOWN = (
    "application_name", "commit", "constraints", "metadata", "other_integrity_status", "session_class",
    "statement_timeout",
    "connect_args", "creator", "echo", "echo_pool", "execution_options", "future", "hide_parameters",
    "insertmanyvalues_page_size", "isolation_level", "json_deserializer", "json_serializer", "label_length",
    "logging_name", "max_identifier_length", "max_overflow", "module", "paramstyle", "plugins", "pool",
    "pool_logging_name", "pool_pre_ping", "pool_recycle", "pool_reset_on_return", "pool_size", "pool_timeout",
    "pool_use_lifo", "poolclass", "query_cache_size", "skip_autocommit_rollback", "use_insertmanyvalues",
)  # fmt: skip
# How SQLAlchemy names what nothing has taken: "Invalid argument(s) 'a','b' sent to create_engine(), ...".
_INVALID = re.compile(r"Invalid argument\(s\) ('\w+'(?:,\s?'\w+')*)")


def near_names(words: str) -> str:
    """Say which names are near those that SQLAlchemy calls invalid in an error's words; nothing where none are."""
    found = _INVALID.search(words)
    said = []
    for name in re.findall(r"\w+", found[1]) if found else ():
        near = get_close_matches(name, _KNOWN, n=2)
        if near and near[0] != name:  # a name that is right goes with another kind of pool or database
            said.append(f"{name}: did you mean {' or '.join(near)}?")
    return "".join(f" {each}" for each in said)


def check_no_session_options(names: Iterable[str]) -> None:
    """Refuse options of sessions, which belong into a sessionmaker.

    Raises:
        ConfigurationError: One of them is there.
    """
    if found := sorted(_OF_SESSIONS.intersection(names)):
        raise ConfigurationError(
            f"{', '.join(found)}: sessions take that, not engines. Pass a sessionmaker of your own instead of the URL, "
            f"such as sessionmaker(engine, {found[0]}=...); for the class of the sessions there is session_class="
        )


def check_engine_options(options: Mapping[str, Any]) -> None:
    """Refuse what SQLAlchemy would take without a word, or find when it connects.

    Raises:
        ConfigurationError: A size or time of the pool that is none, `connect_args` that are no mapping, or an option of
            sessions.
    """
    check_no_session_options(options)
    for name, least in _POOL_MINIMUM.items():
        if name not in options:
            continue
        value = options[name]
        kinds = (int, float) if name in _POOL_SECONDS else int
        if value is None and name == "pool_timeout":
            continue  # waits for ever
        if isinstance(value, bool) or not isinstance(value, kinds) or not value >= least:
            what = "a number of seconds" if name in _POOL_SECONDS else "an int"
            raise ConfigurationError(f"{name} must be {what}, {least} or more; got {value!r}")
    arguments = options.get("connect_args", {})
    if not isinstance(arguments, Mapping):
        raise ConfigurationError(
            f"connect_args must be a dict of the driver's arguments; got {type(arguments).__name__}"
        )
