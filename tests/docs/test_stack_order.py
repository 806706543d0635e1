"""The drawn stack is the stack."""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from fastapi_patterns import explain, install_stack

PICTURE = Path(__file__).parent.parent.parent / "docs" / "explanation" / "stack-order.svg"


def test_the_picture_shows_the_layers_in_order() -> None:
    """From top to bottom it names what `explain` prints, and the resources below."""
    app = FastAPI()
    install_stack(app, allow_origins=["https://app.example"])
    app.add_middleware(GZipMiddleware)
    printed = io.StringIO()
    explain(app, printed)
    layers = re.findall(r"^  (\S.*?)  ", printed.getvalue(), re.MULTILINE)

    texts = ET.parse(PICTURE).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 (a file of our own)
    drawn = sorted((float(text.attrib["y"]), text.text) for text in texts if text.get("class") == "layer")
    assert [name for _, name in drawn] == [*layers, "resources"]
