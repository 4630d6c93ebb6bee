"""An engine that speaks spamd's protocol, with few children: who comes when all are at work is not even accepted.

GTUBE scores 1000, everything else 0.
"""

from __future__ import annotations

import socket
import threading
import time

from tests.support.loopback_server import LoopbackServer
from tests.support.spamd import GTUBE


class FewChildren(LoopbackServer):
    """`most_asked` is how many questions there were at once, `answers` how many were answered.

    `turned_away` is how many gave up before they got an answer. While it `is_silent` it takes questions and says
    nothing.
    """

    def __init__(self, children: int, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.is_silent = False
        self.most_asked = self.answers = self.turned_away = self._open = 0
        self._children = threading.Semaphore(children)
        self._lock = threading.Lock()

    def answer(self, connection: socket.socket) -> None:
        with self._lock:
            self._open += 1
            self.most_asked = max(self.most_asked, self._open)
        try:
            with connection, connection.makefile("rb") as stream, self._children:
                asked = stream.read()
                if self.is_silent:
                    # Until the other side gives up.
                    connection.recv(1)
                    return
                time.sleep(self.seconds)
                score = 1000 if GTUBE.encode() in asked else 0
                said = "True" if score else "False"
                with self._lock:
                    # Before the answer: who has it may ask the next at once.
                    self._open -= 1
                connection.sendall(
                    f"SPAMD/1.1 0 EX_OK\r\nSpam: {said} ; {score}.0 / 5.0\r\n\r\n{'GTUBE' if score else ''}".encode()
                )
                self.answers += 1
        except OSError:
            self.turned_away += 1
