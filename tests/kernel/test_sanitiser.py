"""The compiled kernel under sanitizers, and what its object files hold."""

import re
import shutil
import subprocess

import pytest

BUILD = ("cmake", "-G", "Ninja", "-DNESCIO_MODULE=OFF", "-DNESCIO_FUZZ=ON")
pytestmark = pytest.mark.verify


@pytest.fixture(scope="module", autouse=True)
def path():
    """Every path is tried by the driver itself."""


def built(project, folder, target, *options):
    for tool in ("cmake", "ninja", "c++"):
        assert shutil.which(tool), f"{tool} is needed to compile the kernel"
    run([*BUILD, "-S", str(project), "-B", str(folder), *options])
    run(["cmake", "--build", str(folder), "--target", target])
    return folder


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_no_sanitizer_finds_anything_in_random_calls(project, tmp_path, sanitizer):
    flags = (
        f"-DNESCIO_SANITIZE={sanitizer}",
        "-DCMAKE_BUILD_TYPE=None",
        "-DCMAKE_CXX_FLAGS=-O1",
    )
    driver = built(project, tmp_path, "fuzz", *flags) / "fuzz"
    assert "150 rounds" in run([str(driver), "150"])


def test_what_is_compiled_for_one_processor_stays_in_its_own_namespace(
    project, tmp_path
):
    # A weak function of the standard library, compiled with AVX-512, could be the copy
    # that the linker keeps for everybody.
    folder = built(project, tmp_path, "kernel", "-DCMAKE_BUILD_TYPE=Release")
    objects = sorted(folder.rglob("kernel_*.o"))
    assert objects
    for one in objects:
        variant = re.sub(r"kernel_(\w+)\..*", r"\1", one.name)
        symbols = run(["nm", "-C", "--defined-only", str(one)])
        weak = [line for line in symbols.splitlines() if re.search(r" [WVu] ", line)]
        assert weak
        assert not [line for line in weak if f"nescio::{variant}::" not in line]
