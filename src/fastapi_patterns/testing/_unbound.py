"""Warns of a test that opens the application's own database, because it uses no fixture that would have bound it."""

import os
import sys
import warnings
from functools import partial
from typing import Any

import pytest

from fastapi_patterns.exceptions import ConfigurationWarning, MissingExtraError
from fastapi_patterns.testing._config import load_application, setting

__all__ = ["pytest_configure"]

_WORDS = (
    "this test opened {database!r}, which is the application's own, and what it writes there stays: it uses no fixture "
    "of the plugin. Let it use client, async_client, db or async_db; where it is meant, filter this warning"
)


def pytest_configure(config: pytest.Config) -> None:
    """Look at each session that is opened outside of tests' databases."""
    try:
        from fastapi_patterns.db._guard import watchers
    except MissingExtraError:  # without SQLAlchemy there is no database
        return
    watchers.append(partial(_warn, config))
    config.add_cleanup(watchers.clear)


def _warn(config: pytest.Config, database: Any) -> None:
    from fastapi_patterns.testing.databases import Databases

    if setting(config, "fastapi_app").partition(":")[0] not in sys.modules:
        return  # a test of something else: importing the application for it may need what only the application has
    if os.environ.get("PYTEST_CURRENT_TEST") and database in Databases(load_application(config), config).all:
        warnings.warn(_WORDS.format(database=database), ConfigurationWarning, stacklevel=4)
