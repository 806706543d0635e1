"""Tests of fastapi_patterns.security."""
