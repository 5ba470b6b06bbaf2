"""Whether a package can be run here, by its manifest alone; without torch, so that a look at it is quick."""

from organincrement.contract.channels import channel_count
from organincrement.contract.model import ModelManifest, MultiHead, SoftmaxHead

_MOST_MEMBERS = 32


def why_not_runnable(manifest: ModelManifest) -> str:
    """The reason why a package of our own networks cannot be run; empty where nothing speaks against it."""
    files = [weights.file for weights in manifest.weights]
    if not 0 < len(files) <= _MOST_MEMBERS or len(set(files)) != len(files):
        return f"only packages with 1 to {_MOST_MEMBERS} files of weights, each once, can be run"
    if len(files) > 1 and not isinstance(manifest.head, SoftmaxHead | MultiHead):
        return f"only one network with a head of kind '{manifest.head.kind}' can be run, not several"
    found, wanted = manifest.network.args.get("out_channels"), channel_count(manifest.head, manifest.label_space)
    if found != wanted:
        return f"the network has {found} output channels, but its organs and backgrounds need {wanted}"
    if manifest.network.args.get("in_channels") != 1 or len(manifest.preprocessing.channels) != 1:
        return "only networks with one input channel can be run"
    if manifest.preprocessing.output_resampling == "cubic" or len(manifest.inference.patch) != 3:
        return "only 3-D windows whose answer is resampled linearly, or to the nearest, can be run"
    return ""
