"""The reference application: users, notes and an upstream, built from the public names of fastapi_patterns."""
