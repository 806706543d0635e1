"""The pytest plugin. Needs the extra `testing`; this module and `plugin` import only pytest."""
