"""What a package's head is, in words: nothing of the usual one, else how many heads or decoders, and how pruned."""

from slicer.i18n import tr as _

from organincrement.contract.model import DynamicHead, ModelManifest, MultiDecoderHead, MultiHead

_SHOWN = 4


def headText(manifest: ModelManifest) -> str:
    """One line; "" for one softmax over all organs."""
    head = manifest.head
    if isinstance(head, MultiHead):
        return _("{count} heads on one network, each with its own background: {organs}").format(
            count=len(head.heads), organs=_groups(manifest, [one.organs for one in head.heads])
        )
    if isinstance(head, DynamicHead):
        return _("One head that is set anew for each of {count} tasks: {organs}").format(
            count=len(head.tasks), organs=_groups(manifest, head.tasks)
        )
    if isinstance(head, MultiDecoderHead):
        return _("{count} decoders on one encoder: {organs}").format(
            count=len(head.decoders), organs=_decoders(manifest, head)
        )
    return ""


def _decoders(manifest: ModelManifest, head: MultiDecoderHead) -> str:
    texts = []
    for decoder in head.decoders:
        text = _names(manifest, decoder.organs)
        if decoder.sparsity > 0:
            text = _("{organs} ({percent:.0f} % of its weights pruned)").format(
                organs=text, percent=100 * decoder.sparsity
            )
        texts.append(text)
    return _shortened(texts)


def _groups(manifest: ModelManifest, groups) -> str:
    return _shortened([_names(manifest, organs) for organs in groups])


def _names(manifest: ModelManifest, organs) -> str:
    names = {organ.id: organ.name for organ in manifest.organs}
    return _shortened([names.get(organ, organ) for organ in organs], ", ")


def _shortened(texts: list[str], separator: str = "; ") -> str:
    if len(texts) <= _SHOWN:
        return separator.join(texts)
    return _("{first} and {count} more").format(first=separator.join(texts[:_SHOWN]), count=len(texts) - _SHOWN)
