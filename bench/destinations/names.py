"""The DNS of the benchmark, in a process of its own: clients and receivers must not wait for its answers.

    python -m bench.destinations.names PORT FILE

FILE has `records`, each a name, a kind and a value, and `silent`, the names for which there is no answer at all.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from tests.support.dns import DNSServer


def main(port: int, file: Path) -> None:
    """Answer until SIGTERM."""
    # Before its thread is there: signals are for whoever waits for them below.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    known = json.loads(file.read_text())
    with DNSServer(port=port) as server:
        for name, kind, value in known["records"]:
            server.add(name, kind, value)
        for name in known["silent"]:
            server.fail(name, "DROP")
        signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
