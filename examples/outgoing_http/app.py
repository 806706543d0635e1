"""One shared client for one upstream."""

from typing import Annotated, Any

import httpx2
from fastapi import Depends, FastAPI

from fastapi_patterns import HttpClient, install_stack

weather = HttpClient("https://weather.example/v1/", timeout_s=2.0, trusted_hosts=["weather.example"])
WeatherDep = Annotated[httpx2.AsyncClient, Depends(weather.client)]

app = FastAPI()
install_stack(app, resources=[weather])  # opened before the first request, closed after the last


@app.get("/forecast/{city}")
async def forecast(city: str, client: WeatherDep) -> Any:
    """Ask the upstream; its failures become 502, 503 or 504."""
    response = await client.get("forecast", params={"city": city})
    response.raise_for_status()
    return response.json()
