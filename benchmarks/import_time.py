"""How long ``import nescio`` takes: median of ten fresh interpreters, less bare Python.

The aim is under 0.3 seconds.
"""

import statistics
import subprocess
import sys
import time

RUNS = 10


def seconds(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def main() -> None:
    seconds("import nescio")  # compiles and warms the file cache
    bare = statistics.median(seconds("pass") for _ in range(RUNS))
    full = statistics.median(seconds("import nescio") for _ in range(RUNS))
    print(
        f"import nescio: {full - bare:.3f} s (bare Python: {bare:.3f} s; "
        f"median of {RUNS}; aim: under 0.3 s)"
    )


if __name__ == "__main__":
    main()
