"""Tests in a real browser; `scripts/test-browser` brings it."""
