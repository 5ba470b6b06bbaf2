"""Whether a model can see the scans of a dataset at all."""

from organincrement.contract.dataset import DatasetFolder
from organincrement.models.package import LoadedModel
from organincrement.workflows.errors import WorkflowError


def check_modality(dataset: DatasetFolder, model: LoadedModel, expects: str) -> None:
    """Refuse a dataset of another modality than the model's. Args: expects: "the model sees". Raises: WorkflowError."""
    modality, seen = dataset.manifest.modality, model.manifest.preprocessing.channels
    if modality not in seen:
        raise WorkflowError(f"{dataset.path.name}: holds {modality}, but {expects} {', '.join(seen)}")
