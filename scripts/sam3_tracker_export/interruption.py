"""Ends an export by SIGINT or SIGTERM in order: as an exception that passes every clean-up, and is not lost.

Raising is not enough: an exception in a Python kernel that a graph calls comes out of TorchScript as a RuntimeError,
and one in a destructor is dropped. The signal is therefore remembered, for whoever catches such an error to ask after.
"""

import contextlib
import signal
from typing import Iterator, Optional

_received: Optional[int] = None
_holds = 0


def install_handlers() -> None:
    """Makes SIGINT raise KeyboardInterrupt and SIGTERM SystemExit(143), and remembers them. For the main thread."""
    global _received
    _received = None
    for number in (signal.SIGINT, signal.SIGTERM):
        # Whoever started this with a signal ignored, as `nohup` and a shell's `&` do, wants it ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def raise_if_interrupted() -> None:
    """Raises KeyboardInterrupt after a SIGINT and SystemExit(143) after a SIGTERM, else does nothing."""
    if _received == signal.SIGINT:
        raise KeyboardInterrupt
    if _received is not None:
        raise SystemExit(128 + _received)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Lets the block run to its end whatever signal comes, and raises what came meanwhile after it."""
    global _holds
    _holds += 1
    try:
        yield
    finally:
        _holds -= 1
    raise_if_interrupted()


def _handle(number: int, frame: object) -> None:
    global _received
    _received = number
    if _holds == 0:
        raise_if_interrupted()
