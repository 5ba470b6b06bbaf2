"""Pickles and files of torch.save that attack whoever loads them, made by the test that needs them."""

import functools
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any


def commands(marker: Path) -> dict[str, bytes]:
    """Pickles that would make the file `marker` when Python loads them, one for each way to call something."""
    shell = f"echo>{marker}".encode()
    text = b"X" + struct.pack("<I", len(shell)) + shell
    code = f"open({str(marker)!r},'w').close()".encode()
    python = b"X" + struct.pack("<I", len(code)) + code
    imported = b"c__builtin__\n__import__\n(S'os'\ntR"
    return {
        "global-reduce": b"cos\nsystem\n(" + text + b"tR.",
        "stack-global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text + b"\x85R.",
        "nt": b"cnt\nsystem\n" + text + b"\x85R.",
        "inst": b"(" + text + b"ios\nsystem\n.",
        "obj": b"(cos\nsystem\n" + text + b"o.",
        "newobj": b"\x80\x02cos\nsystem\n" + text + b"\x85\x81.",
        "newobj-ex": b"\x80\x04cos\nsystem\n" + text + b"\x85}\x92.",
        "popen": b"csubprocess\nPopen\n(" + text + b"I01\ntR.",
        "check-output": b"csubprocess\ncheck_output\n(](S'touch'\n" + text + b"etR.",
        "eval": b"c__builtin__\neval\n" + python + b"\x85R.",
        "exec": b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93" + python + b"\x85R.",
        "open": b"c__builtin__\nopen\n("
        + b"X"
        + struct.pack("<I", len(str(marker)))
        + str(marker).encode()
        + b"S'w'\ntR.",
        "runpy": b"crunpy\n_run_code\n(" + python + b"}tR.",
        "getattr-chain": b"c__builtin__\ngetattr\n(" + imported + b"S'system'\ntR" + text + b"\x85R.",
        "build-setstate": b"c__main__\nThing\n)R}S'__setstate__'\ncos\nsystem\nsb" + text + b"b.",
        "reduce-in-list": b"(lp0\n0g0\ncos\nsystem\n" + text + b"\x85Ra.",
        "extension-1": b"\x82\x01.",
        "extension-2": b"\x83\x01\x00.",
        "extension-4": b"\x84\x01\x00\x00\x00.",
        "buffer": b"\x80\x05\x97.",
        "code-object": pickle.dumps(_Call("marshal", "loads", (b"abc",))),
    }


class _Call:
    """Pickles as a call of a function by name."""

    def __init__(self, module: str, name: str, args: tuple[Any, ...]) -> None:
        self._parts = (module, name, args)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        module, name, args = self._parts
        return getattr(__import__(module), name), args


@functools.cache
def bombs() -> dict[str, bytes]:
    """Pickles that would fill the memory, or take for ever."""
    laugh = b"]q\x00" + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
    long_text = b"X" + struct.pack("<I", 2**20) + b"a" * 2**20
    return {
        "repeats": b"\x80\x02" + laugh + b".",
        "deep-tuple": b"\x80\x02)" + b"\x85" * 100_000 + b".",
        "deep-list": b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep-marks": b"(" * 100_000 + b"l" * 100_000 + b".",
        "in-itself": b"]q\x00h\x00a.",
        "steps": b"\x80\x02" + b"N0" * 3_000_000 + b"N.",
        "sets": b"\x80\x04" + b"\x8f" * 3_000_000 + b".",
        "memo": b"N" + b"".join(b"r" + struct.pack("<I", i * 97) for i in range(1_500_000)) + b"0" * 2,
        "long-string": b"X\xff\xff\xff\xffabc.",
        "very-long-string": b"\x80\x04\x8d" + b"\xff" * 8 + b"abc.",
        "byte-array": b"\x80\x05\x96" + struct.pack("<Q", 2**60) + b".",
        "huge-number": b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"\1" * 100 + b".",
        "digits": b"I" + b"9" * 60_000 + b"\n.",
        "copies": b"c_codecs\nencode\nq\x00%bq\x01S'latin1'\nq\x020%b." % (long_text, b"h\x00h\x01h\x02\x86R" * 3000),
        "byte-arrays": b"c__builtin__\nbytes\nq\x00\x80\x05\x96%b%bq\x01%b."
        % (struct.pack("<Q", 2**22), bytes(2**22), b"h\x00h\x01\x85R" * 1000),
        "zeros": b"c__builtin__\nbytearray\nI1000000000000\n\x85R\x85R.",
        "hashes": b"}("
        + b"".join(b"\x8a\x10" + (i * (2**61 - 1)).to_bytes(16, "little") + b"N" for i in range(60_000))
        + b"u.",
        "nested-key": b"}" + b")" + b"\x85q\x00h\x00h\x00\x86q\x00" * 40 + b"Ns.",
        "array": array_pickle((10**6, 10**6), b"12345678"),
        "array-edges": array_pickle((-1, -1), b"12345678"),
        "empty": b"",
        "no-stop": b"\x80\x02}",
        "underflow": b"0.",
        "unknown": b"\xff.",
        "newer": b"\x80\x09}.",
    }


def array_pickle(shape: tuple[int, ...], data: bytes) -> bytes:
    """A numpy array of float64 as protocol 3 has it, of a shape that its bytes need not fit."""
    inner = pickle.dumps((1, shape, "f8", False, data), 3)[2:-1]
    head = b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R"
    return head + inner.replace(b"X\x02\x00\x00\x00f8", dtype) + b"b."


def torch_zip(pickled: bytes, storages: dict[str, bytes] | None = None, *, compress: int = zipfile.ZIP_STORED) -> bytes:
    """A file as torch.save writes it, around a pickle of the test's own."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compress) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return target.getvalue()


def tensor_pickle(
    *, count: Any, shape: Any, strides: Any, offset: Any = 0, key: str = "0", kind: str = "Float"
) -> bytes:
    """The pickle of {"weight": a tensor}, as torch writes it, with figures of the test's own."""
    head = b"\x80\x02}X\x06\x00\x00\x00weightctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
    storage = b"ctorch\n%bStorage\n" % kind.encode()
    figures = [pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"") for value in (key, "cpu", count)]
    rest = [pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"") for value in (offset, shape, strides, False)]
    return head + storage + b"".join(figures) + b"tQ" + b"".join(rest) + b"}tRs."
