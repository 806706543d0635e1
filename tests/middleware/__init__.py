"""Tests of fastapi_patterns.middleware."""
