"""Tests of fastapi_patterns.db."""
