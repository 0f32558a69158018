"""`Closing`: what owns a thread is a context manager, too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


__all__ = ["Closing"]


class Closing(ABC):
    """Its ``with`` block ends in `close`."""

    @abstractmethod
    def close(self) -> None:
        """End what runs in the background."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
