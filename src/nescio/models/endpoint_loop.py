"""Requests under way together, for callers that wait for one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, TypeVar

from nescio.errors import EndpointError, NescioError

__all__ = ["Loop"]

T = TypeVar("T")
_CLOSED = "the model was closed, or this is another process than the one that loaded it"


class Loop:
    """An event loop on a thread of its own, which ends with the program.

    Callers may stand inside an event loop of theirs (a notebook does).
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._last: asyncio.Task[None] | None = None
        self._ended = False
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
        """Do a last piece of work and end, without waiting for it.

        What is under way is given up.
        """

        async def close() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others)
            await last()

        def finish() -> None:
            self._last = task = self._loop.create_task(close())
            task.add_done_callback(lambda _: self._loop.stop())

        if self._thread.is_alive() and not self._ended:
            self._ended = True
            self._loop.call_soon_threadsafe(finish)

    def join(self) -> None:
        """Wait until the loop has ended."""
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of one piece of work; an interrupt cancels it.

        Raises:
            EndpointError: the loop has ended.
        """
        future = self._begun(work)
        try:
            return future.result()
        except CancelledError as error:
            raise EndpointError(_CLOSED) from error
        finally:
            future.cancel()

    def _begun(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._ended or not self._thread.is_alive():
            work.close()
            raise EndpointError(f"{_CLOSED}; load it again")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def gather(
        self,
        work: Iterable[Callable[[], Coroutine[Any, Any, T]]],
        *,
        limit: int,
    ) -> Iterator[T]:
        """Results as they come, ``limit`` pieces of work under way at most.

        ``work`` is read as there is room. After the first failure no more of it is
        begun; what is under way is finished and given before the failure is raised.
        The same if reading it fails. Leaving the iterator cancels what is under way.

        Raises:
            EndpointError: the loop has ended.
        """
        pending: set[Future[T]] = set()
        failure: BaseException | None = None
        source = iter(work)
        try:
            while True:
                while failure is None and len(pending) < limit:
                    make, failure = _next(source)
                    if make is None:
                        break
                    pending.add(self._begun(make()))
                if not pending:
                    break
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    if (error := _failure(future)) is None:
                        yield future.result()
                    else:
                        failure = failure or error
        finally:
            for future in pending:
                future.cancel()
        if failure is not None:
            raise failure

    def iterate(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        """The items of an asynchronous iterator; leaving it closes that one.

        It is read in one task, whose deadlines then hold, whether or not anybody waits
        for the next item. Leaving it waits for nothing: a generator may be left by the
        garbage collector, on any thread and at the end of the program.
        """
        items: SimpleQueue[T | None] = SimpleQueue()

        async def read() -> None:
            async with aclosing(source):
                async for item in source:
                    items.put(item)

        reading = self._begun(read())
        reading.add_done_callback(lambda _: items.put(None))
        try:
            while (item := items.get()) is not None:
                yield item
        finally:
            reading.cancel()
        if reading.cancelled():
            raise EndpointError(_CLOSED)
        reading.result()


def _next(source: Iterator[T]) -> tuple[T | None, NescioError | None]:
    """The next item, if there is one, or why it cannot be had."""
    try:
        return next(source, None), None
    except NescioError as error:
        return None, error


def _failure(ended: Future[Any]) -> BaseException | None:
    return EndpointError(_CLOSED) if ended.cancelled() else ended.exception()
