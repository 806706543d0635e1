"""Errors of one's own, errors of others, and validation errors."""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, EmailStr

from fastapi_patterns import AppException, ErrorInfo, install_error_handlers


class OutOfStockError(Exception):
    """An exception that the application has had for years."""


class Order(BaseModel):
    """What a client orders."""

    email: EmailStr
    amount: int


app = FastAPI()
install_error_handlers(
    app,
    exception_map={
        OutOfStockError: ErrorInfo(status=409, detail="Not in stock", code="out_of_stock"),
        ConnectionError: (503, "Try again in a minute"),
    },
)


@app.post("/orders")
def create_order(order: Order) -> dict[str, int]:
    """Take an order, if possible."""
    if order.amount < 1:
        raise AppException(400, "Invalid input")
    if order.amount > 1000:
        raise AppException(400, "Too much at once", code="too_much", extra={"limit": 1000})
    if order.amount > 100:
        raise OutOfStockError(f"asked for {order.amount}, have 100 in depot 7")  # the text stays in the log
    if order.amount == 99:
        raise HTTPException(410, "Gone")
    return {"amount": order.amount}
