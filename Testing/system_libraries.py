"""Are the system libraries there that Qt and VTK need to draw without a display?  `python system_libraries.py`

All else comes with pip. As root on Debian or Ubuntu what is missing is installed; elsewhere the command is named.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

LIBRARIES = {  # file that is loaded -> package of Debian and Ubuntu
    "libEGL.so.1": "libegl1",
    "libEGL_mesa.so.0": "libegl-mesa0",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libX11.so.6": "libx11-6",
}
DRIVERS = ("*/libgallium*.so", "*/dri/swrast_dri.so", "dri/swrast_dri.so", "libgallium*.so")
DRIVER_PACKAGE, FONT_PACKAGE = "libgl1-mesa-dri", "fonts-dejavu-core"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")


def missing() -> list[str]:
    """Names of the packages that hold what is not there; empty on macOS and Windows, where Qt brings everything."""
    if not sys.platform.startswith("linux"):
        return []
    packages = [package for library, package in LIBRARIES.items() if not loads(library)]
    if not any(found for root in ("/usr/lib", "/usr/lib64") for name in DRIVERS for found in Path(root).glob(name)):
        packages.append(DRIVER_PACKAGE)
    if not any(hasFont(Path(folder).expanduser()) for folder in FONT_FOLDERS):
        packages.append(FONT_PACKAGE)
    return packages


def loads(library: str) -> bool:
    """Whether the dynamic loader finds a library, and all that it needs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def hasFont(folder: Path) -> bool:
    """Whether there is a scalable font anywhere in a folder."""
    return (
        any(path.suffix.lower() in (".ttf", ".otf", ".ttc") for path in folder.rglob("*")) if folder.is_dir() else False
    )


def command(packages: list[str]) -> list[str]:
    """What installs packages on Debian and Ubuntu."""
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def install(packages: list[str]) -> None:
    """Run it quietly; what it says is shown only where it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update", "-qq"], command(packages)):
        done = subprocess.run(step, env=environment, capture_output=True, encoding="utf-8")
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return


def main() -> int:
    """Returns: the exit code, 0 when everything is there."""
    packages = missing()
    canInstall = shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0
    if packages and canInstall:
        install(packages)
        packages = missing()
    if not packages:
        return 0
    print(f"The tests of the panels need libraries of the system. Run: sudo {' '.join(command(packages))}")
    if shutil.which("apt-get") is None:
        print("These are Debian's names; other systems name the packages differently.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
