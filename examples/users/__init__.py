"""Users in a database: the smallest application with a test for each route."""
