"""Tests against a real uvicorn, for what in-process clients hide."""
