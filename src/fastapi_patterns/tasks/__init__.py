"""Background work that starts after the request has committed. Needs no extra."""

from fastapi_patterns.tasks.queue import PendingTasks, TaskQueue, TaskQueueFullError, exception_map

__all__ = ["PendingTasks", "TaskQueue", "TaskQueueFullError", "exception_map"]
