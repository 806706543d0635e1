"""Tests of fastapi_patterns.tasks."""
