"""An application that keeps its own session dependency."""
