"""A TCP proxy on loopback that can stall, cut, or dribble one byte at a time."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards connections to `target_port`; what it does to the way to the target can be changed at any time."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.forwarded_bytes = 0  # to the target
        self._flowing = threading.Event()
        self._flowing.set()
        self._stopped = threading.Event()
        self._piece_bytes = 65536
        self._pause_seconds = 0.0
        self._cut_after_bytes: int | None = None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing to the target until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def dribble(self, pause_seconds: float = 0.0) -> None:
        """Forward one byte at a time, so long after one another."""
        self._piece_bytes, self._pause_seconds = 1, pause_seconds

    def cut_after(self, count: int) -> None:
        """End both sides when `count` bytes went to the target."""
        self._cut_after_bytes = count

    def cut(self) -> None:
        """End all connections now."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stopped.set()
        self._flowing.set()
        self._listener.close()
        self.cut()
        for sock in self._sockets:
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:  # closed
                return
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += (near, far)
            threading.Thread(target=self._pump_to_target, args=(near, far), daemon=True).start()
            threading.Thread(target=self._pump_back, args=(far, near), daemon=True).start()

    def _pump_to_target(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := near.recv(self._piece_bytes):
                self._flowing.wait()
                if self._cut_after_bytes is not None:
                    content = content[: self._cut_after_bytes - self.forwarded_bytes]
                if self._pause_seconds and self._stopped.wait(self._pause_seconds):
                    return
                far.sendall(content)
                self.forwarded_bytes += len(content)
                if self.forwarded_bytes == self._cut_after_bytes:
                    self.cut()
            far.shutdown(socket.SHUT_WR)

    def _pump_back(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := far.recv(65536):
                near.sendall(content)
            near.shutdown(socket.SHUT_WR)


@contextmanager
def proxy_to(target_port: int) -> Iterator[Proxy]:
    """A proxy in front of a server on loopback."""
    with Proxy(target_port) as proxy:
        yield proxy
