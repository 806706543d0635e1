"""Tests of fastapi_patterns.testing."""
