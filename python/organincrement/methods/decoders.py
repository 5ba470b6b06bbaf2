"""A decoder for the new organs on a teacher's frozen encoder: what it takes of the teacher, and what it makes of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import Decoder, Head, ModelManifest, MultiDecoderHead, SoftmaxHead
from organincrement.methods.decoder_student import DecoderStudent
from organincrement.methods.head_advice import advice_on
from organincrement.methods.protocol import ContinualMethod, MethodError, MethodInputs, Product
from organincrement.networks.build import build_network
from organincrement.networks.multi_decoder import MultiDecoder, as_decoders, with_decoder
from organincrement.networks.pruning import sparsity_of
from organincrement.networks.sizing import NetworkSpec


class AddsDecoder(ContinualMethod):
    """A method that adds a decoder and trains nothing else. Its Config has the fields `start` and `supporting`.

    start: `first`: the new decoder, but for its output, begins as the first, which is never pruned; or `fresh`.
    """

    @classmethod
    def plan_head(cls, transition: LabelTransition, teachers: Sequence[ModelManifest]) -> Head:
        """The teacher's decoders, and one for the new organs."""
        new = Decoder(organs=transition.new.ids, temperature=1.0, range_mm=None, sparsity=0.0)
        return MultiDecoderHead(decoders=(*old_decoders(teachers[0], transition), new))

    @classmethod
    def plan_network(
        cls, config: Any, transition: LabelTransition, teachers: Sequence[ModelManifest], channels: int
    ) -> NetworkSpec:
        """The teacher's, with one more decoder. Raises: MethodError where it has no encoder to share."""
        try:
            return with_decoder(NetworkSpec.of(teachers[0].network), 1 + transition.new_count, config.supporting)
        except ValueError as error:
            raise MethodError(f"teacher '{teachers[0].name}': {error}") from error

    def build_student(self) -> nn.Module:
        """The teacher's encoder and decoders, and a new decoder."""
        return DecoderStudent(student_network(self.inputs, self.inputs.config.start))

    def freeze(self, student: nn.Module, phase: int) -> None:
        """Only the new decoder is trained."""
        assert isinstance(student, DecoderStudent)
        student.freeze()

    def after_step(self, student: nn.Module) -> None:
        """Pruned weights stay 0."""
        assert isinstance(student, DecoderStudent)
        student.mask()

    def product(self, network: nn.Module) -> Product:
        """The network with the accepted decoder, and how sparse that is."""
        assert isinstance(network, DecoderStudent) and isinstance(self.inputs.head, MultiDecoderHead)
        made = network.product()
        *old, new = self.inputs.head.decoders
        sparsity = sparsity_of(made.decoders[-1])  # type: ignore[arg-type]
        head = MultiDecoderHead(decoders=(*old, replace(new, sparsity=sparsity)))
        return Product(network=made, spec=self.inputs.network, head=head)


def old_decoders(teacher: ModelManifest, transition: LabelTransition) -> Sequence[Decoder]:
    """The teacher's decoders, of which one softmax is one, with its temperature; merged organs by their new name.

    Raises: MethodError for a head that is neither.
    """
    if transition.replaced:
        raise MethodError(
            f"'{transition.replaced[0]}' cannot count as a new organ: the teacher's decoders are kept as they are; "
            "choose another method"
        )
    match teacher.head:
        case SoftmaxHead():
            parts: Sequence[Decoder] = (
                Decoder(organs=teacher.label_space.ids, temperature=1.0, range_mm=None, sparsity=0.0),
            )
        case MultiDecoderHead():
            parts = teacher.head.decoders
        case _:
            raise MethodError(
                f"teacher '{teacher.name}' has a head of kind '{teacher.head.kind}', which has no decoder to keep: "
                f"{advice_on(teacher.head)}"
            )
    return tuple(_renamed(part, teacher.inference.temperature, transition) for part in parts)


def _renamed(part: Decoder, temperature: float, transition: LabelTransition) -> Decoder:
    organs = tuple(transition.merges.get(organ, organ) for organ in part.organs)
    spans: dict[str, list[tuple[float, float] | None]] = {}
    for before, now in zip(part.organs, organs, strict=True):
        spans.setdefault(now, []).append((part.range_mm or {}).get(before))
    # what several organs count as lies where any of them does, and anywhere where one of them may
    known = {organ: [span for span in of if span] for organ, of in spans.items() if None not in of}
    ranges = {organ: (min(low for low, _ in of), max(high for _, high in of)) for organ, of in known.items()}
    return replace(part, organs=organs, temperature=part.temperature * temperature, range_mm=ranges or None)


def student_network(inputs: MethodInputs, start: str) -> MultiDecoder:
    """The planned network with the teacher's weights, on the inputs' device. Args: start: see AddsDecoder."""
    network = build_network(inputs.network.kind, inputs.network.args)
    state = as_decoders({name: weight.cpu() for name, weight in inputs.teachers[0].start.state_dict().items()})
    if start == "first":
        first, new = "decoders.0.", f"decoders.{len(network.decoders) - 1}."  # type: ignore[arg-type]
        copied = {n: w for n, w in state.items() if n.startswith((f"{first}stages.", f"{first}transpconvs."))}
        state |= {new + name.removeprefix(first): weight for name, weight in copied.items()}
    network.load_state_dict({**network.state_dict(), **state})
    return network.to(inputs.device)  # type: ignore[return-value]
