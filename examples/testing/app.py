"""Orders of customers: an async database, a background task, a call to another service, a price that ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import httpx2
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from fastapi_patterns import AppException, AsyncDatabase, HttpClient, PendingTasks, TaskQueue, install_stack


class Base(DeclarativeBase):
    """The tables."""


class Customer(Base):
    """Somebody who orders."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    """What a customer ordered."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    article: Mapped[str]
    customer: Mapped[Customer] = relationship(back_populates="orders")


class OrderIn(BaseModel):
    """What a client sends."""

    customer_id: int
    article: str


class CustomerOut(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    articles: list[str]


database = AsyncDatabase("sqlite:///shop.db", metadata=Base.metadata)
stock = HttpClient("https://stock.example/v1/")
tasks = TaskQueue()

SessionDep = Annotated[AsyncSession, Depends(database.session)]
StockDep = Annotated[httpx2.AsyncClient, Depends(stock.client)]
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]
SALE_ENDS = datetime(2030, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    """Make the missing tables, and give every request the name of the shop."""
    await database.create_all()
    yield {"shop": "Corner shop"}


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database, stock, tasks])


async def send_receipt(order_id: int) -> None:
    """Stands for a mail: mark the order, in a session of the task's own."""
    async with database.session_scope() as session:
        order = await session.get_one(Order, order_id)
        order.article += " (receipt sent)"


@app.post("/orders", status_code=201)
async def create_order(data: OrderIn, session: SessionDep, stock: StockDep, tasks: TasksDep) -> dict[str, int]:
    """Order what is in stock."""
    answer = await stock.get(f"articles/{data.article}")
    if answer.status_code == 404:
        raise AppException(409, "Sold out")
    answer.raise_for_status()
    order = Order(customer_id=data.customer_id, article=data.article)
    session.add(order)
    await session.flush()  # gives the order its id
    tasks.add_task(send_receipt, order.id)
    return {"id": order.id}


@app.get("/customers")
async def list_customers(session: SessionDep) -> list[CustomerOut]:
    """List the customers and what they ordered: two queries, however many there are."""
    found = await session.scalars(select(Customer).options(selectinload(Customer.orders)).order_by(Customer.id))
    return [CustomerOut(name=each.name, articles=[order.article for order in each.orders]) for each in found]


@app.get("/sale")
async def is_sale() -> bool:
    """Tell whether the sale is still on."""
    return datetime.now(UTC) < SALE_ENDS
