"""`fastapi-patterns check`: reports what is dangerous in an application, whether it uses this package or not.

Needs no extra.
"""

from fastapi_patterns.checks.findings import Finding, Severity
from fastapi_patterns.checks.run import check_app

__all__ = ["Finding", "Severity", "check_app"]
