"""The engine's command that makes a vault: a folder of old images, chosen by a model, for methods that replay them."""

from pathlib import Path

MOST_CERTAIN = 50  # candidates of each organ, at least as many as are kept


def vaultArguments(
    model: Path | str, dataset: Path | str, out: Path | str, *, method: str, count: int, device: str
) -> list[str]:
    """Arguments of `organincrement`: for each organ that the model knows, so many images of a dataset, into `out`.

    method: the one that is to replay them, which says how they are chosen; "" for the engine's default.
    """
    by = ["--by", method] if method else []
    return [
        "exemplars", "select", "--model", str(model), "--dataset", str(dataset), *by, "--keep", str(count),
        "--most-certain", str(max(MOST_CERTAIN, count)), "--device", device, "--out", str(out),
    ]  # fmt: skip
