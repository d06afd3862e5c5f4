"""Without a C++ compiler nescio installs, works, and says what does the work."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CODE = """
import sys
import nescio
from nescio.kernel import kernel_path
assert nescio.__file__.startswith(sys.argv[1]), nescio.__file__
trace = nescio.score(nescio.load("table:coin"), "HTTH")
print(kernel_path(), nescio.bits_per_byte(trace).value)
"""


@pytest.mark.verify
def test_an_install_without_a_compiler_works_and_says_so(
    project: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "CXX": "/nonexistent/c++", "CC": "/nonexistent/cc"}
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*build, "--wheel-dir", str(tmp_path), str(project)],
        env=environment,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("nescio-*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        assert not [
            name
            for name in archive.namelist()
            if "_native." in name and not name.endswith(".pyi")
        ]
        archive.extractall(unpacked)
    environment["PYTHONPATH"] = str(unpacked)
    run = [sys.executable, "-c", CODE, str(unpacked)]
    said = subprocess.run(
        run, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    path, rate = said.stdout.split()
    assert path == "numpy"
    assert float(rate) == pytest.approx(1.0, rel=1e-6)
    doctor = subprocess.run(
        [sys.executable, "-m", "nescio", "doctor"],
        env=environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "numpy" in doctor.stdout
    assert "compiler" in doctor.stdout
