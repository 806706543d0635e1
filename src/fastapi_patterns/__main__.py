"""`python -m fastapi_patterns`."""

import sys

from fastapi_patterns.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
