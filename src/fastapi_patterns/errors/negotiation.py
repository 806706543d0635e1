"""Which of two answers a client wants: a page or JSON. Pure (RFC 9110 section 12.5.1)."""

import re

__all__ = ["prefers_html"]

_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def prefers_html(accept: str, json_type: str = "application/json") -> bool:
    """Tell whether an Accept header ranks `text/html` above JSON.

    No header, `*/*` and a tie mean JSON: only who asks for a page gets one, as browsers do.

    Args:
        accept: The header's value, several joined by commas.
        json_type: The media type of the JSON answer, which counts beside `application/json`.
    """
    if "text/" not in accept.lower():  # API clients: nothing to parse
        return False
    ranges = _qualities(accept)
    return _quality(ranges, "text/html") > max(_quality(ranges, "application/json"), _quality(ranges, json_type))


def _qualities(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                # What is no quality value is no wish either.
                quality = float(value) if _QUALITY.fullmatch(value := value.strip()) else 0.0
        found[media_range] = max(quality, found.get(media_range, 0.0))
    return found


def _quality(ranges: dict[str, float], media_type: str) -> float:
    """The most specific range counts, also where a wider one has a higher quality."""
    for known in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if known in ranges:
            return ranges[known]
    return 0.0
