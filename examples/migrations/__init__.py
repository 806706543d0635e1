"""Tables that change: migrations with Alembic."""
