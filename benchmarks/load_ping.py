"""Asks for ``/ping`` again and again, in its own process, until standard input ends; prints how long each took."""

import json
import sys
import threading
import time
from http.client import HTTPConnection

PAUSE = 0.01
PATIENCE = 120


def main(port: str) -> None:
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    connection = HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
    seconds = []
    while not over.wait(PAUSE):
        started = time.perf_counter()
        connection.request("GET", "/ping")
        assert connection.getresponse().read() == b"{}"
        seconds.append(time.perf_counter() - started)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
