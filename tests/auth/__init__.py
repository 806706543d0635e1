"""Tests of fastapi_patterns.auth."""
