"""The zip file that torch.save writes, as places in a file: stored members in one folder, checked before use."""

import stat
import struct
import zipfile
from dataclasses import dataclass
from typing import Any

from organincrement.contract.errors import ContractError
from organincrement.contract.files import check_relative, open_regular
from organincrement.models.errors import ModelError
from organincrement.models.lazy_tensor import SourceFile, Storage
from organincrement.models.pickled_data import MAX_BYTES, read_one
from organincrement.models.torch_calls import TORCH, StoragePart, storage_dtype

_MOST_MEMBERS = 20_000
_LARGEST_LIST_BYTES = 16 * 2**20
_END, _LOCAL = struct.Struct("<4s4H2LH"), struct.Struct("<4s5H3L2H")
_ENDING_BYTES = 20 + 56 + _END.size  # with the two records of large files before it


@dataclass(frozen=True, kw_only=True)
class _Member:
    start: int
    nbytes: int
    crc32: int | None


def read_zip(source: SourceFile) -> Any:
    """The tree of a torch.save file in zip format. Raises: ModelError, one line."""
    members = _members(source)
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ModelError(f"{source.name}: is a zip file but none that torch.save writes; give the model's own file")
    top = pickles[0].removesuffix("data.pkl")
    if top + "constants.pkl" in members:
        raise ModelError(f"{source.name}: is TorchScript, which holds code; import it with --format torchscript")
    order = members.get(top + "byteorder")
    if order and source.read(order.start, min(order.nbytes, 8)) != b"little":
        raise ModelError(f"{source.name}: was written on a big-endian computer; save it again on an ordinary one")
    reader = _Stored(source, members, top)
    return read_one(_bytes(source, pickles[0], members[pickles[0]]), source.name, meanings=TORCH, stored=reader)[0]


def _bytes(source: SourceFile, name: str, member: _Member) -> bytes:
    if member.nbytes > MAX_BYTES:
        raise ModelError(f"{source.name}: describes its model in {member.nbytes} bytes, far more than a model needs")
    data = bytearray(member.nbytes)
    storage = Storage(source=source, name=name, start=member.start, nbytes=member.nbytes, crc32=member.crc32)
    storage.read_into(0, memoryview(data))
    return bytes(data)


class _Stored:
    """The storages that a pickle refers to, each once."""

    def __init__(self, source: SourceFile, members: dict[str, _Member], top: str) -> None:
        self._source, self._members, self._top = source, members, top
        self._storages: dict[str, Storage] = {}

    def __call__(self, reference: Any) -> StoragePart:
        if not isinstance(reference, tuple) or len(reference) != 5 or reference[0] != "storage":
            raise ModelError("refers to data in an unknown way")
        _, kind, key, _place, count = reference
        dtype = storage_dtype(kind)
        member = self._members.get(f"{self._top}data/{key}") if isinstance(key, str) else None
        if member is None:
            raise ModelError("lacks the numbers of one of its tensors")
        nbytes = count * (1 if dtype is None else dtype.itemsize) if type(count) is int else -1
        if nbytes != member.nbytes:
            raise ModelError(f"claims {str(count)[:20]} numbers for a tensor that has {member.nbytes} bytes")
        if key not in self._storages:
            self._storages[key] = Storage(
                source=self._source, name=f"data/{key}", start=member.start, nbytes=nbytes, crc32=member.crc32
            )
        return StoragePart(storage=self._storages[key], dtype=dtype, first_byte=0, nbytes=nbytes)


def _members(source: SourceFile) -> dict[str, _Member]:
    _check_list_size(source)
    try:
        with open_regular(source.path) as file, zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except ContractError as error:
        raise ModelError(str(error)) from None
    except (zipfile.BadZipFile, struct.error, ValueError, RuntimeError, EOFError, OSError, NotImplementedError):
        raise ModelError(f"{source.name}: is a damaged zip file; get the file again") from None
    _check(infos, source.name)
    members = {info.filename: _placed(source, info) for info in infos}
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ModelError(f"{source.name}: has files that share their bytes; get the file again")
        end = members[info.filename].start + members[info.filename].nbytes
    return members


def _check_list_size(source: SourceFile) -> None:
    """The list of members, at the end of the file, is refused before it is read where it is too long for a model."""
    ending = source.read(max(0, source.size - _ENDING_BYTES), _ENDING_BYTES)
    if len(ending) < _END.size or ending[-_END.size :][:4] != b"PK\5\6":
        raise ModelError(f"{source.name}: is a zip file that was cut off or added to; get the file again")
    _, _, _, _, count, nbytes, _, comment = _END.unpack(ending[-_END.size :])
    if ending[:4] == b"PK\6\6" and len(ending) == _ENDING_BYTES:
        count, nbytes = struct.unpack_from("<2Q", ending, 32)
    if comment or count > _MOST_MEMBERS or nbytes > _LARGEST_LIST_BYTES:
        raise ModelError(f"{source.name}: is a zip file with more in it than a model has; give the model's own file")


def _check(infos: list[zipfile.ZipInfo], name: str) -> None:
    if len({info.filename.casefold() for info in infos}) != len(infos):
        raise ModelError(f"{name}: holds a file twice; get the file again")
    for info in infos:
        try:
            check_relative(info.orig_filename.removesuffix("/"))
        except ContractError as error:
            raise ModelError(f"{name}: {error}") from None
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ModelError(f"{name}: holds a link in place of data; get the file again")
        if info.flag_bits & 1 or info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ModelError(f"{name}: is compressed or encrypted; save it again with torch.save, or unpack it")


def _placed(source: SourceFile, info: zipfile.ZipInfo) -> _Member:
    header = source.read(info.header_offset, _LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
        raise ModelError(f"{source.name}: is a damaged zip file; get the file again")
    *_, name_bytes, extra_bytes = _LOCAL.unpack(header)
    start = info.header_offset + _LOCAL.size + name_bytes + extra_bytes
    if start + info.file_size > source.size:
        raise ModelError(f"{source.name}: was cut off; get the file again")
    return _Member(start=start, nbytes=info.file_size, crc32=info.CRC or None)  # 0: torch was told to write none
