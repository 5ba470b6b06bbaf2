"""Where a process stands among those that torchrun started, and how they find each other."""

import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch.distributed as dist

_INTERFACE_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_FOUND_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.05


class NotTogether(ValueError):  # noqa: N818
    """Processes cannot work together as they were started."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Of a process among `size`; local: among those on this computer. restarts: how often torchrun began anew."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    restarts: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Place":
        """As torchrun tells it. Raises: NotTogether where torchrun has not started this process."""
        try:
            rank, size, local, locals_ = (
                int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
            )
        except (KeyError, ValueError):
            raise NotTogether(
                "--distributed needs torchrun: torchrun --standalone --nproc-per-node 2 -m organincrement train "
                "plan.json --job DIR --distributed"
            ) from None
        restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))
        return cls(rank=rank, size=size, local_rank=local, local_size=locals_, restarts=restarts)


def bind(place: Place, interface: str | None, environment: Mapping[str, str]) -> str:
    """The one network interface for all traffic between processes; sets gloo's and NCCL's variables in this process.

    Args: interface: asked for; None: what the environment says, or loopback where all processes are on this computer.
    Raises: NotTogether where there is no such interface, or none was named for several computers.
    """
    known = psutil.net_if_addrs()
    named = interface or next((environment[name] for name in _INTERFACE_VARIABLES if environment.get(name)), None)
    if named is None and place.local_size < place.size:
        raise NotTogether(
            f"processes on several computers need --interface, the network that joins them: one of {', '.join(known)}"
        )
    named = named.lstrip("=") if named else _loopback()
    if named not in known:
        raise NotTogether(f"there is no network interface '{named}'; there are {', '.join(known)}")
    os.environ["GLOO_SOCKET_IFNAME"] = named
    os.environ["NCCL_SOCKET_IFNAME"] = f"={named}"  # without the sign, any whose name begins so
    return named


def _loopback() -> str:
    for name, addresses in psutil.net_if_addrs().items():
        if any(a.family == socket.AF_INET and a.address.startswith("127.") for a in addresses):
            return name
    raise NotTogether("this computer has no loopback interface: name one with --interface")


def meet(place: Place, file: Path) -> dist.Store:
    """A store that all processes share, empty at first.

    It is torchrun's own, or where torchrun was told not to share that (TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1), `file`.
    torchrun's still holds what processes before a restart said, under whose addresses nobody answers any more: the
    first calls under a new name until all have answered, and all know that they have.
    Raises: NotTogether where they do not find each other.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        store, _, _ = next(dist.rendezvous("env://"))
    else:
        store = dist.FileStore(str(file), -1)
    me, deadline_s = uuid.uuid4().hex, time.monotonic() + _FOUND_WITHIN_S
    name = me
    if place.rank == 0:
        store.set("call", name)
    while time.monotonic() < deadline_s:
        if place.rank and store.check(["call"]):
            name = store.get("call").decode()
            store.set(f"{name}/{place.rank}", me)
        answers = [f"{name}/{rank}" for rank in range(1, place.size)]
        if place.rank == 0 and store.check(answers):
            store.set(f"{name}/all", " ".join(store.get(answer).decode() for answer in answers))
            return dist.PrefixStore(name, store)
        if place.rank and store.check([f"{name}/all"]) and me in store.get(f"{name}/all").decode():
            return dist.PrefixStore(name, store)
        time.sleep(_LOOK_EVERY_S)
    raise NotTogether(f"not all of {place.size} processes were there within {_FOUND_WITHIN_S:g} s")
