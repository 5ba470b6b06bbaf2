"""Whether a model can see the scans of a dataset at all."""

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.model import ModelManifest
from organincrement.models.package import LoadedModel
from organincrement.workflows.errors import WorkflowError


def check_modality(dataset: DatasetFolder, model: LoadedModel, expects: str) -> None:
    """Refuse a dataset of another modality than the model's. Args: expects: "the model sees". Raises: WorkflowError."""
    check_seen(dataset, model.manifest, expects)


def check_seen(dataset: DatasetFolder, manifest: ModelManifest, expects: str) -> None:
    """As `check_modality`, by the manifest alone."""
    modality, seen = dataset.manifest.modality, manifest.preprocessing.channels
    if modality not in seen:
        raise WorkflowError(f"{dataset.path.name}: holds {modality}, but {expects} {', '.join(seen)}")
