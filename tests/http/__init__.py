"""Tests of fastapi_patterns.http."""
