"""Requests under way together, for callers that wait for one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

__all__ = ["Loop"]

T = TypeVar("T")


class Loop:
    """An event loop on a thread of its own, which ends with the program.

    Callers may stand inside an event loop of theirs (a notebook does).
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._last: asyncio.Task[None] | None = None
        self._thread = threading.Thread(
            target=self._turn, name="nescio-endpoint", daemon=True
        )
        self._thread.start()

    def _turn(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a last piece of work and end, without waiting for it."""

        def finish() -> None:
            self._last = task = self._loop.create_task(last())
            task.add_done_callback(lambda _: self._loop.stop())

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(finish)

    def join(self) -> None:
        """Wait until the loop has ended."""
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of one piece of work; an interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def gather(
        self,
        work: Iterable[Callable[[], Coroutine[Any, Any, T]]],
        *,
        limit: int,
    ) -> Iterator[T]:
        """Results as they come, ``limit`` pieces of work under way at most.

        ``work`` is read as there is room. After the first failure no more of it is
        begun; what is under way is finished and given before the failure is raised.
        Leaving the iterator cancels what is under way.
        """
        pending: set[Future[T]] = set()
        failure: BaseException | None = None
        source = iter(work)
        try:
            while True:
                while failure is None and len(pending) < limit:
                    make = next(source, None)
                    if make is None:
                        break
                    begun = asyncio.run_coroutine_threadsafe(make(), self._loop)
                    pending.add(begun)
                if not pending:
                    break
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    if (error := future.exception()) is None:
                        yield future.result()
                    else:
                        failure = failure or error
        finally:
            for future in pending:
                future.cancel()
        if failure is not None:
            raise failure

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """The items of an asynchronous iterator; leaving it closes that one."""
        try:
            while True:
                try:
                    yield self.run(_next(source))
                except StopAsyncIteration:
                    return
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                self.run(close())


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)
