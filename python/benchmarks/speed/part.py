"""One part of the page: what was measured, the table, the check that results are equal, and on which machine."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / "speed"
_LIBRARIES = ("torch", "numpy", "SimpleITK", "monai")

Cell = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and rows; of a float three digits are shown."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one module measured.

    question: what it answers, and how it was measured. check: that the results are equal, or how far they are not.
    remark: what the figures mean, unwelcome ones first. pictures: files beside the page.
    """

    title: str
    question: str
    tables: Sequence[Table]
    check: str = ""
    remark: str = ""
    pictures: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Options:
    """quick: fewer rounds and smaller inputs, to see that it runs. shared: real scans, where there are any."""

    quick: bool = False
    shared: Path | None = None


def machine() -> str:
    """The computer in a line, without its name."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    gib = psutil.virtual_memory().total / 2**30
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, {torch.get_num_threads()} threads, {gib:.0f} GiB, {gpu}, "
        f"{platform.system()}"
    )


def versions() -> str:
    """Of Python and of the libraries that do the work."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _LIBRARIES)])


def save(name: str, part: Part, seconds: float) -> None:
    """Keep a part beside the page, with the machine and the versions that it was measured with."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {**asdict(part), "machine": machine(), "versions": versions(), "seconds": round(seconds)}
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
