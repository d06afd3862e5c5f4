"""Run as a program: llama.cpp's server on loopback, until standard input ends.

    python -m tests.endpoint.llama_server MODEL.gguf

Prints its address when it listens.
"""

from __future__ import annotations

import socket
import sys


def main() -> None:
    import xllamacpp

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = xllamacpp.CommonParams()
    settings.model.path = sys.argv[1]
    settings.n_parallel = 4
    settings.n_ctx = 4 * 512
    settings.cpuparams.n_threads = 1  # the tests run side by side on few cores
    settings.port = port
    server = xllamacpp.Server(settings)
    sys.stdout.write(server.listening_address + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
