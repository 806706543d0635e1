"""Rows for tests from polyfactory or factory_boy, written through the plugin's session."""
