"""OrganReview in a Slicer where nothing was installed: what it imports, and how long that takes."""

import os
import subprocess
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]

PROGRAM = """
import sys, time

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "monai", "SimpleITK", "scipy", "nibabel", "safetensors", "psutil"):
            raise ImportError(f"{name} is not installed in a bare Slicer")

sys.meta_path.insert(0, Refused())
sys.path[:0] = [%(testing)r, %(tests)r]
import harness
slicer = harness.boot()
from harness import module_loader, records
from pathlib import Path
from review_cases import makeDataset

folder = makeDataset(Path(sys.argv[1]) / "plain", {"a": "submitted", "b": "submitted"})
slicer.app.userSettings().setValue("OrganIncrement/folder", sys.argv[1])
module_loader.load_scripted_module(%(module)r)
started = time.process_time()
slicer.util.selectModule("OrganReview")
print("opened in", round(time.process_time() - started, 2), "s")
ui = slicer.util.getModuleWidget("OrganReview").ui
records.answer("getExistingDirectory", str(folder.path))
ui.openDatasetButton.click()
ui.caseTable.cellClicked.emit(0, 0)
ui.approveButton.click()
ui.flagButton.click()
assert records.errors == [], records.errors
assert [case.status for case in folder.cases()] == ["approved", "flagged"], [case.status for case in folder.cases()]
assert "torch" not in sys.modules
print("reviewed")
"""


def test_a_review_needs_nothing_installed(tmp_path):
    module = TESTING.parent / "OrganIncrement" / "OrganReview" / "OrganReview.py"
    program = PROGRAM % {"testing": str(TESTING), "tests": str(TESTING / "tests"), "module": str(module)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=dict(os.environ),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert "reviewed" in done.stdout, done.stderr[-3000:]
    opened_s = float(done.stdout.partition("opened in ")[2].split()[0])
    assert opened_s < 1.0
