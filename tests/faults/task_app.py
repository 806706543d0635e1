"""An application that stores an order and leaves its work for later, alone or on an engine: served and worked for real.

What it is comes from the environment: `ENGINE`, `DATABASE_URL`, `BROKER_URL`.
"""

import asyncio
import os
from typing import Annotated, Any

import procrastinate
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_patterns import AsyncDatabase, PendingTasks, TaskQueue, install_stack

ENGINE = os.environ["ENGINE"]
# How long a worker may be silent before its task is another's.
REDELIVERY_S = 2.0


class Base(DeclarativeBase):
    """The tables."""


class Order(Base):
    """What a request stores."""

    __tablename__ = "orders"

    number: Mapped[int] = mapped_column(primary_key=True)


class Done(Base):
    """What a task has done, each time that it did."""

    __tablename__ = "done"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


database = AsyncDatabase(os.environ["DATABASE_URL"], metadata=Base.metadata)
jobs = broker = None


def _engine() -> Any:
    global jobs, broker  # the commands of the engines find them here by name
    if ENGINE == "procrastinate":
        from fastapi_patterns.tasks.procrastinate import ProcrastinateEngine

        conninfo = os.environ["DATABASE_URL"].replace("+psycopg", "")
        jobs = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo))
        return ProcrastinateEngine(jobs, database=database)
    if ENGINE == "valkey":
        from taskiq_redis import RedisStreamBroker

        broker = RedisStreamBroker(
            os.environ["BROKER_URL"],
            xread_block=100,
            xread_count=10,
            idle_timeout=int(REDELIVERY_S * 1000),
            unacknowledged_lock_timeout=REDELIVERY_S,  # without it a worker that is killed with the lock keeps it
        )
    elif ENGINE == "nats":
        from nats.js.api import ConsumerConfig
        from taskiq_nats import PullBasedJetStreamBroker

        config = ConsumerConfig(durable_name="taskiq_durable", ack_wait=REDELIVERY_S)
        broker = PullBasedJetStreamBroker([os.environ["BROKER_URL"]], consumer_config=config, pull_consume_batch=10)
    else:
        return None
    from fastapi_patterns.tasks.taskiq import TaskiqEngine

    return TaskiqEngine(broker, database=database)


queue = TaskQueue(_engine(), drain_timeout_s=float(os.environ.get("DRAIN_S", "10")))
app = FastAPI()
install_stack(app, resources=[database, queue])
TasksDep = Annotated[PendingTasks, Depends(queue.pending)]


@queue.task(name="work")
async def work(number: int) -> None:
    """Do it, in a transaction of its own."""
    async with database.session_scope() as session:
        session.add(Done(number=number))


@queue.task(name="slow")
async def slow(seconds: float) -> None:
    """Take a while."""
    await asyncio.sleep(seconds)
    print("slow is done", flush=True)


@app.post("/orders/{number}")
async def order(number: int, session: Annotated[AsyncSession, Depends(database.session)], tasks: TasksDep) -> int:
    """Store an order and leave its work."""
    session.add(Order(number=number))
    tasks.add_task(work, number)
    return number


@app.post("/slow/{seconds}")
async def leave(seconds: float, tasks: TasksDep) -> None:
    """Leave what takes a while."""
    tasks.add_task(slow, seconds)
