"""How kernels are compiled: ahead of nothing, once per machine, and again whenever any of them changed."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from numba import njit

HERE = Path(__file__).parent
CACHED = HERE.is_dir()  # there is no place for compiled kernels beside those that are read from an archive


def forget_stale(folder: Path) -> None:
    """Drop compiled kernels that any change of a source may have made stale.

    numba's cache looks only at the file a kernel stands in, and kernels of one file use those of others.
    """
    sources = b"".join(file.read_bytes() for file in sorted(folder.glob("*.py")))
    compiled, digest = folder / "__pycache__", sha256(sources).hexdigest()
    marker = compiled / "kernels.sha256"
    if not os.access(folder, os.W_OK) or (marker.exists() and marker.read_text() == digest):
        return
    for index in compiled.glob("*.nbi"):
        index.unlink(missing_ok=True)
    compiled.mkdir(exist_ok=True)
    marker.write_text(digest)


forget_stale(HERE)

# Kernels that neither allocate nor keep an array may do without counting references, which costs more than their work.
kernel = njit(cache=CACHED, error_model="numpy", _nrt=False)
inlined = njit(cache=CACHED, error_model="numpy", _nrt=False, forceinline=True)
