"""Builds the C++ kernel with the machine's compiler and puts models, overlays and notebooks into the package.

Everything that is only a declaration stands in pyproject.toml.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
KERNEL_SOURCES = ("hls/snn_core.cpp", "hls/host_interface.cpp")
# Not -march=native: a wheel must run on any machine of its architecture.
KERNEL_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-Wno-unknown-pragmas", "-Ihls")
COMPILERS = ("g++", "c++", "clang++")
# Top-level folder and the files of it that an installed package carries, under pynq_snn/data/.
DATA_FILES = {
    "models": ("*.onnx", "*.md"),
    "overlays": ("*.bit", "*.hwh", "*.json"),
    "overlays/rtl": ("*.sv",),
    "overlays/sim": ("*.cpp", "*.hpp"),
    "notebooks": ("*.ipynb",),
    "examples": ("*.png",),
    "benchmarks": ("accuracy.json", "rtl.json"),
}


def find_compiler() -> list[str] | None:
    """Return the command of a C++ compiler, $CXX before others; None where there is none."""
    for candidate in (os.environ.get("CXX", ""), *COMPILERS):
        command = shlex.split(candidate)
        if command and shutil.which(command[0]):
            return command
    return None


class BuildKernel(build_ext):
    """Compiles ``hls/`` into a shared library for ctypes: no Python headers, no Python version in its name."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path of the library within the package."""
        return str(Path(*fullname.split("."))) + ".so"

    def build_extension(self, ext: Extension) -> None:
        """Compile, or warn: a package without the kernel still has the reference device, and says what is missing."""
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        problem = self._compile(ext.sources, library)
        if problem is not None:
            library.unlink(missing_ok=True)
            print(f"warning: the C++ kernel was not built: {problem}", file=sys.stderr)

    def get_outputs(self) -> list[str]:
        """Return the files that were really built."""
        return [path for path in super().get_outputs() if Path(path).exists()]

    @staticmethod
    def _compile(sources: list[str], library: Path) -> str | None:
        compiler = find_compiler()
        if compiler is None:
            return "no C++ compiler found; install one (sudo apt install g++) and install pynq-snn again"
        try:
            subprocess.run([*compiler, *KERNEL_FLAGS, *sources, "-o", str(library)], cwd=ROOT, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"{compiler[0]} failed ({error})"
        return None


class BuildPackage(build_py):
    """Copies the data folders beside the modules; an editable install reads them where they are."""

    def run(self) -> None:
        """Build modules, then data."""
        super().run()
        if not self.editable_mode:
            shutil.rmtree(self._data_folder(), ignore_errors=True)  # of an earlier build, with what is gone by now
            for source, target in self._data_files():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return modules and data files."""
        data = [] if self.editable_mode else [str(target) for _, target in self._data_files()]
        return [*super().get_outputs(include_bytecode), *data]

    def _data_folder(self) -> Path:
        return Path(self.build_lib) / "pynq_snn" / "data"

    def _data_files(self) -> list[tuple[Path, Path]]:
        return [
            (source, self._data_folder() / folder / source.name)
            for folder, patterns in DATA_FILES.items()
            for pattern in patterns
            for source in sorted((ROOT / folder).glob(pattern))
        ]


class BuildWheel(bdist_wheel):
    """Names the wheel after the platform alone: the kernel is called through ctypes, so any Python can use it."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags for Python, its binary interface, and the platform."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[Extension("pynq_snn._snn_core", list(KERNEL_SOURCES), optional=True)],
    cmdclass={"build_ext": BuildKernel, "build_py": BuildPackage, "bdist_wheel": BuildWheel},
)
