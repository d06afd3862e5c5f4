"""What surrounds the kernel: environment variables, processes, the missing module."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from nescio.errors import InvalidInput
from nescio.kernel import kernel_path, row_statistics
from nescio.kernel.native import available_paths, thread_count

NATIVE = importlib.util.find_spec("nescio._native") is not None


@pytest.fixture(scope="module", autouse=True)
def path():
    """Once is enough: every test here chooses its path itself."""


def in_a_fresh_interpreter(code, **environment):
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_where_it_was_compiled_the_native_kernel_answers_unless_told_otherwise():
    code = "import nescio.kernel as k; print(k.kernel_path())"
    said = in_a_fresh_interpreter(code, NESCIO_KERNEL="")
    assert said.startswith("native ") == NATIVE


def test_a_path_that_is_not_available_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setenv("NESCIO_KERNEL", "avx1024")
    for call in (kernel_path, lambda: row_statistics(np.zeros((1, 2)))):
        with pytest.raises(InvalidInput, match=r"'avx1024'.*numpy") as refused:
            call()
        assert all(name in str(refused.value) for name in available_paths())


@pytest.mark.parametrize("native", ["None", "types.ModuleType('nescio._native')"])
def test_without_the_native_module_the_twin_answers_and_says_so(native):
    code = (
        f"import sys, types; sys.modules['nescio._native'] = {native}\n"
        "import numpy as np, nescio.kernel as k\n"
        "print(k.kernel_path(), k.row_statistics(np.zeros((1, 1))).entropy[0])"
    )
    assert in_a_fresh_interpreter(code, NESCIO_KERNEL="") == "numpy 0.0"


def test_the_threads_are_those_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    monkeypatch.delenv("NESCIO_THREADS", raising=False)
    assert thread_count() == 3
    monkeypatch.setenv("NESCIO_THREADS", "2")
    assert thread_count() == 2
    monkeypatch.delenv("NESCIO_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert 1 <= thread_count() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_makes_no_sense_is_refused(monkeypatch, asked):
    monkeypatch.setenv("NESCIO_THREADS", asked)
    with pytest.raises(InvalidInput, match=f"NESCIO_THREADS is '{asked}'"):
        thread_count()


def test_a_fork_after_a_threaded_call_computes_on():
    code = (
        "import os, numpy as np, nescio.kernel as k\n"
        "x = np.zeros((64, 30_000), np.float32)\n"
        "k.row_statistics(x)\n"
        "child = os.fork()\n"
        "found = k.row_statistics(x).entropy[63]\n"
        "if child == 0: os._exit(int(abs(found - np.log(30_000)) > 1e-6))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert in_a_fresh_interpreter(code, NESCIO_THREADS="4") == "0"


REGISTER = """
import ctypes, mmap, threading
import numpy as np
def control():
    code = bytes.fromhex("0fae1fc3")  # stmxcsr [rdi]; ret
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    where = ctypes.addressof(ctypes.c_char.from_buffer(page))
    value = ctypes.c_uint32()
    ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint32))(where)(value)
    return value.value & 0xffc0  # without the sticky flags
before = control()
import nescio.kernel as k
x = np.full((64, 30_000), 1e-40, np.float32)
k.row_statistics(x, np.zeros(64, int), top=3)
k.draw(x, k.Sampling(top_p=.5), np.zeros(64))
found = [before == control(), np.float32(1e-40) * np.float32(1) != 0]
def look():
    found.extend([before == control(), np.float32(1e-40) * np.float32(1) != 0])
other = threading.Thread(target=look)
other.start(); other.join()
print(*found)
"""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_denormal_numbers_and_the_control_register_survive_every_call(threads):
    code = REGISTER
    if os.uname().machine not in ("x86_64", "AMD64"):
        code = code.replace("def control():", "def control():\n    return 0")
    found = in_a_fresh_interpreter(code, NESCIO_THREADS=threads)
    assert found == "True True True True"
