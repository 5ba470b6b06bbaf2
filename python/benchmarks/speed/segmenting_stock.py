"""Stock nnU-Net v2's predictor on a scan, from file to file; run by the Python of an environment that has it.

python benchmarks/speed/segmenting_stock.py MODEL_FOLDER IMAGE OUT_STEM
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Print CPU seconds, without the start of the process and the loading of the model."""
    model, image, out = sys.argv[1:]
    # what nnunetv2 only imports, and folders that it asks for by name
    sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "parity" / "stand_ins"))
    os.environ.update({f"nnUNet_{what}": out + what for what in ("raw", "preprocessed", "results")})
    os.environ.update({"nnUNet_def_n_proc": "1"})
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    torch.set_num_threads(1)
    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, ("all",))
    started = time.process_time()
    predictor.predict_from_files_sequential([[image]], [out], save_probabilities=False, overwrite=True)
    print(json.dumps({"cpu_s": time.process_time() - started}))


if __name__ == "__main__":
    main()
