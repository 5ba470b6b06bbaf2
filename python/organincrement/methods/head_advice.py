"""Which method to choose where one does not go on from a teacher, by what the teacher's channels stand for."""

from organincrement.contract.model import Head, MultiHead


def advice_on(head: Head) -> str:
    """What to do with a teacher of such a head, for a method that does not go on from it."""
    if head.kind == "multi-decoder":
        return "choose continual-segment for it"
    if head.kind == "dynamic":
        return (
            "train dodnet anew on old and new data, or give it to ms-kd behind a teacher with one softmax that sees "
            "scans alike"
        )
    in_one_layer = isinstance(head, MultiHead) and len({part.prefix for part in head.heads}) == 1
    return "choose lwfseg for it" if in_one_layer else "choose bla-uag, lwf or mib for it"
