"""Background work that starts after the request has committed. Needs no extra."""

from fastapi_patterns.tasks._arguments import TaskArgumentError
from fastapi_patterns.tasks.engine import HandOverError, TaskEngine
from fastapi_patterns.tasks.pending import PendingTasks
from fastapi_patterns.tasks.queue import TaskQueue, TaskQueueFullError, exception_map
from fastapi_patterns.tasks.task import DelayedTask, Job, Task, TaskRules

__all__ = [
    "DelayedTask",
    "HandOverError",
    "Job",
    "PendingTasks",
    "Task",
    "TaskArgumentError",
    "TaskEngine",
    "TaskQueue",
    "TaskQueueFullError",
    "TaskRules",
    "exception_map",
]
