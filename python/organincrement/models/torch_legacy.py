"""The file that torch.save wrote before torch 1.6: five pickles, then each storage's length and bytes."""

from typing import Any

from organincrement.models.errors import ModelError
from organincrement.models.lazy_tensor import SourceFile, Storage
from organincrement.models.pickled_data import MAX_BYTES, read_one
from organincrement.models.torch_calls import TORCH, StoragePart, storage_dtype

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_MAGIC_BYTES = _MAGIC.to_bytes(10, "little")
_COUNT_BYTES = 8


def is_legacy(source: SourceFile) -> bool:
    """Whether a file starts as those files do: a pickle of their number."""
    start = source.read(0, 32)
    return start[:1] == b"\x80" and _MAGIC_BYTES in start


def read_legacy(source: SourceFile) -> Any:
    """The tree of such a file. Raises: ModelError, one line."""
    head = source.read(0, MAX_BYTES)
    stored = _Stored(source)
    magic, end = read_one(head, source.name)
    version, end = read_one(head, source.name, start=end)
    facts, end = read_one(head, source.name, start=end)
    if magic != _MAGIC or version != _VERSION:
        raise ModelError(f"{source.name}: is no file of torch.save that is known; save it with a newer torch")
    if not isinstance(facts, dict) or facts.get("little_endian") is not True:
        raise ModelError(f"{source.name}: was written on a big-endian computer; save it again on an ordinary one")
    tree, end = read_one(head, source.name, start=end, meanings=TORCH, stored=stored)
    keys, end = read_one(head, source.name, start=end)
    stored.place(keys, end)
    return tree


class _Stored:
    """The storages that the pickle refers to; where each lies is known only behind the pickle."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._storages: dict[str, Storage] = {}
        self._item_bytes: dict[str, int] = {}

    def __call__(self, reference: Any) -> StoragePart:
        if not isinstance(reference, tuple) or len(reference) != 6 or reference[0] != "storage":
            raise ModelError("refers to data in an unknown way")
        _, kind, key, _place, count, view = reference
        dtype = storage_dtype(kind)
        item_bytes = 1 if dtype is None else dtype.itemsize
        if not isinstance(key, str) or type(count) is not int or not 0 <= count * item_bytes <= self._source.size:
            raise ModelError("claims more numbers for a tensor than it has")
        nbytes = count * item_bytes
        storage = self._storages.setdefault(key, Storage(source=self._source, name=key, start=-1, nbytes=nbytes))
        if storage.nbytes != nbytes or self._item_bytes.setdefault(key, item_bytes) != item_bytes:
            raise ModelError("claims two sizes for one storage")
        first, nbytes = (0, nbytes) if view is None else _part(view, item_bytes, nbytes)
        return StoragePart(storage=storage, dtype=dtype, first_byte=first, nbytes=nbytes)

    def place(self, keys: Any, start: int) -> None:
        """Give each storage its place, in the order of the file. Raises: ModelError where they do not fit the file."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self._storages):
            raise ModelError(f"{self._source.name}: does not list its tensors as it uses them; get the file again")
        for key in keys:
            storage = self._storages[key]
            count = int.from_bytes(self._source.read(start, _COUNT_BYTES), "little")
            storage.start = start + _COUNT_BYTES
            start = storage.start + storage.nbytes
            if count * self._item_bytes[key] != storage.nbytes or start > self._source.size:
                raise ModelError(f"{self._source.name}: was cut off or is damaged; get the file again")


def _part(view: Any, item_bytes: int, limit: int) -> tuple[int, int]:
    if not isinstance(view, tuple) or len(view) != 3 or not all(type(value) is int for value in view[1:]):
        raise ModelError("has a tensor in an odd part of a storage")
    first, nbytes = view[1] * item_bytes, view[2] * item_bytes
    if first < 0 or nbytes < 0 or first + nbytes > limit:
        raise ModelError("has a tensor outside its storage")
    return first, nbytes
