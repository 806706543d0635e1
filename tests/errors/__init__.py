"""Tests of fastapi_patterns.errors."""
