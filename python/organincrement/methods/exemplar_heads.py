"""What AeiSeg and CoRiSeg share beyond LwfSeg: steps on exemplars, and how many of all these may be."""

from dataclasses import dataclass, replace
from typing import ClassVar

from organincrement.methods.incremental_heads import HEADS_PRESETS, OZDEMIR, HeadsConfig, IncrementalHeads
from organincrement.methods.protocol import Citation, Needs, Preset, setting

_PAPER = HEADS_PRESETS["paper"]


@dataclass(frozen=True, kw_only=True)
class ExemplarsConfig(HeadsConfig):
    """Defaults are the practical preset."""

    # more exemplars than new slabs, which one labelled scan gives, left the new organ hardly a step
    replay_at_most: float = setting(
        0.32, "largest share of steps on exemplars (the most in the paper: 30 of 94 slices)", low=0, high=1
    )


class ExemplarHeads(IncrementalHeads):
    """LwfSeg that also replays exemplars."""

    Config: ClassVar[type] = ExemplarsConfig
    paper: ClassVar[Citation] = OZDEMIR
    needs: ClassVar[Needs] = Needs(teachers="one", exemplars=True)
    presets: ClassVar[dict[str, Preset]] = {
        **HEADS_PRESETS,
        "paper": replace(_PAPER, settings={**_PAPER.settings, "replay_at_most": 1.0}),
    }
