"""Which output channels of a network stand for which organs: groups, each with a background of its own."""

from dataclasses import dataclass, replace

from .errors import ContractError
from .labels import LabelSpace
from .model import Decoder, DynamicHead, Head, MultiDecoderHead, MultiHead, SoftmaxHead, TorchScriptHead

MAPS_PER_TASK = 2  # of a task of DoDNet: the organ, and the anomaly in it

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """The channels of one softmax over a background and organs.

    background: its channel, or None where it has none and counts as a logit of 0, so that the organ is a sigmoid.
    channels, labels: of the organs. hosts: of each organ the label of its host, 0 for one that is no anomaly.
    ranges_mm: of each organ where along the body it can lie, None where it can lie anywhere.
    """

    background: int | None
    channels: tuple[int, ...]
    labels: tuple[int, ...]
    hosts: tuple[int, ...]
    ranges_mm: tuple[Range | None, ...]
    temperature: float = 1.0

    @property
    def all_channels(self) -> tuple[int, ...]:
        """Background first, where it has a channel."""
        return self.channels if self.background is None else (self.background, *self.channels)


def channel_groups(head: Head, organs: LabelSpace) -> tuple[ChannelGroup, ...]:
    """The groups of a head, in the order in which they were learned.

    Raises: ContractError for a head that says nothing of its channels, or a task of more than an organ and an anomaly.
    """
    match head:
        case SoftmaxHead() | TorchScriptHead():
            group = _softmax(0, organs.ids, organs)
            return (replace(group, hosts=(0,) * len(organs)),)  # nothing to be merged with
        case MultiHead():
            return _one_after_another(tuple(part.organs for part in head.heads), organs)
        case MultiDecoderHead():
            plain = _one_after_another(tuple(part.organs for part in head.decoders), organs)
            return tuple(_of_decoder(g, part) for g, part in zip(plain, head.decoders, strict=True))
        case DynamicHead():
            return tuple(
                _sigmoid(MAPS_PER_TASK * number + _place(organ_id, organs), organ_id, organs)
                for number, task in enumerate(head.tasks)
                for organ_id in _checked_task(task, organs)
            )
    raise ContractError(f"head {head.kind}: does not say which channel stands for which organ")


def channel_count(head: Head, organs: LabelSpace) -> int:
    """How many channels the network has to put out."""
    match head:
        case DynamicHead():
            return MAPS_PER_TASK * len(head.tasks)
        case _:
            return sum(len(group.all_channels) for group in channel_groups(head, organs))


def task_list(organs: LabelSpace) -> tuple[tuple[str, ...], ...]:
    """The tasks of DoDNet: each organ with the anomaly in it, and each anomaly whose host is not among the organs."""
    hosted = {organ.host: organ.id for organ in organs.organs if organ.host in organs.ids}
    alone = [organ for organ in organs.organs if organ.host not in organs.ids]
    tasks = tuple((organ.id, hosted[organ.id]) if organ.id in hosted else (organ.id,) for organ in alone)
    left = set(organs.ids) - {organ_id for task in tasks for organ_id in task}
    # a second anomaly in one organ has no map left beside the first
    return (*tasks, *((organ_id,) for organ_id in organs.ids if organ_id in left))


def _one_after_another(parts: tuple[tuple[str, ...], ...], organs: LabelSpace) -> tuple[ChannelGroup, ...]:
    groups, first = [], 0
    for ids in parts:
        groups.append(_softmax(first, ids, organs))
        first += 1 + len(ids)
    return tuple(groups)


def _softmax(first: int, ids: tuple[str, ...], organs: LabelSpace) -> ChannelGroup:
    return ChannelGroup(
        background=first,
        channels=tuple(range(first + 1, first + 1 + len(ids))),
        labels=tuple(organs.index(organ_id) for organ_id in ids),
        hosts=tuple(_host(organ_id, organs) for organ_id in ids),
        ranges_mm=(None,) * len(ids),
    )


def _of_decoder(group: ChannelGroup, decoder: Decoder) -> ChannelGroup:
    ranges = decoder.range_mm or {}
    ranges_mm = tuple(ranges.get(organ_id) for organ_id in decoder.organs)
    return replace(group, ranges_mm=ranges_mm, temperature=decoder.temperature)


def _sigmoid(channel: int, organ_id: str, organs: LabelSpace) -> ChannelGroup:
    return ChannelGroup(
        background=None, channels=(channel,), labels=(organs.index(organ_id),), hosts=(_host(organ_id, organs),),
        ranges_mm=(None,),
    )  # fmt: skip


def _host(organ_id: str, organs: LabelSpace) -> int:
    host = organs.organs[organs.index(organ_id) - 1].host
    return organs.index(host) if host in organs.ids else 0


def _place(organ_id: str, organs: LabelSpace) -> int:
    """Of a task's two maps, the organ's (0) or the anomaly's (1)."""
    return int(organs.organs[organs.index(organ_id) - 1].kind == "anomaly")


def _checked_task(task: tuple[str, ...], organs: LabelSpace) -> tuple[str, ...]:
    places = [_place(organ_id, organs) for organ_id in task]
    if not 1 <= len(task) <= MAPS_PER_TASK or len(set(places)) < len(places):
        raise ContractError(f"head: task {list(task)} is not one organ, one anomaly, or an organ with its anomaly")
    return task
