"""What the panels cost, as JSON, in seconds of processor time of this thread: `python panel_costs.py FOLDER`.

The three modules opened and opened again; ten thousand cases in the reviewer's table; a log of events of 50 MB.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

slicer = harness.boot()
from fixtures.modules import loadModule  # noqa: E402
from harness import module_loader  # noqa: E402

MODULES = ("OrganIncrement", "OrganAnnotate", "OrganReview")
CASES, PAGES, LOG_BYTES = 10_000, 200, 50_000_000


def spent(action):
    """Processor time of an action and of the painting that it asks for."""
    started_s = time.thread_time()
    action()
    slicer.app.processEvents()
    return round(time.thread_time() - started_s, 4)


def opened():
    """Each module's code and panel, and its panel once more."""
    first, again = {}, {}
    for name in MODULES:
        first[name] = spent(lambda name=name: (loadModule(name), slicer.util.selectModule(name)))
        module_loader.close_panel(name)
        again[name] = spent(lambda name=name: slicer.util.selectModule(name))
        module_loader.close_panel(name)
    return {"first": first, "again": again}


def table():
    """Filling, filling again with one row changed, another order, a filter, and going through it page by page."""
    from OrganIncrementLib.Panels.ReviewCasesPanel import ReviewCaseRow, ReviewCasesState

    loadModule("OrganReview")
    slicer.util.selectModule("OrganReview")
    widget = slicer.util.getModuleWidget("OrganReview")
    panel, cases = widget.controller.panel, widget.ui.caseTable

    def show(rows):
        return lambda: panel.show(ReviewCasesState(rows=tuple(rows), dataset="/a", datasets=(("/a", "a"),)))

    rows = [
        ReviewCaseRow(
            id=f"pt_{i}", uncertainty=f"{i / 100:.1f} %", status="to review", notes="", toolTip=f"pt_{i}: all"
        )
        for i in range(CASES)
    ]
    facts = {"filled": spent(show(rows))}
    assert cases.rowCount == CASES
    changed = [*rows[:5], ReviewCaseRow(id="pt_5", uncertainty="0.1 %", status="approved", notes=""), *rows[6:]]
    facts["one decided"] = spent(show(changed))
    facts["other order"] = spent(show(reversed(rows)))
    assert cases.item(0, 0).text() == f"pt_{CASES - 1}"
    facts["filtered"] = spent(show(rows[::10]))
    assert cases.rowCount == CASES // 10
    show(rows)()
    places = range(0, CASES, CASES // PAGES)
    pages = [spent(lambda row=row: cases.scrollToItem(cases.item(row, 0))) for row in places]
    facts["longest page"] = max(pages)
    module_loader.close_panel("OrganReview")
    return facts


def log(folder):
    """A job's state and last step from its log, and until all of it is read and thinned for the plots."""
    from organincrement.contract import codec
    from organincrement.contract.job import JobFolder
    from organincrement.contract.plan import Estimate, Plan, Training, Validation
    from OrganIncrementLib.Engine.JobWatcher import JobWatcher

    plan = Plan(
        method="fine-tune", preset="practical", inputs=(), merges={}, include=("approved",), settings={},
        training=Training(steps=200_000, batch=2, patch=(64, 64, 64), optimizer={}, schedule={}),
        validation=Validation(cases=(), every_steps=50), seed=0, device="cpu", estimate=Estimate(),
    )  # fmt: skip
    job = JobFolder.create(folder / "job", codec.dumps(plan).encode())
    steps = writeSteps(job.events_path)
    watcher = JobWatcher(job.path)
    started_s = time.thread_time()
    view = watcher.poll()
    facts = {"bytes": job.events_path.stat().st_size, "first look": round(time.thread_time() - started_s, 4)}
    assert (view.status.state, view.status.step) == ("interrupted", steps)
    while view.catchingUp:
        view = watcher.poll()
    facts["all of it"] = round(time.thread_time() - started_s, 4)
    assert view.series["loss"][-1][0] == steps
    watcher.close()
    facts["state by the command"] = spent(lambda: JobFolder.open(job.path).status())
    return facts


def writeSteps(path):
    """A started job's steps until the log is long enough. Returns: the last step."""
    head = {
        "seq": 0, "t": "2026-11-21T08:30:00.125Z", "type": "started", "pid": 1, "host": "elsewhere", "device": "cpu",
        "precision": "fp32", "batch": 2, "versions": {}, "total_steps": 200_000, "phases": ["increment"],
        "resumed_from": None,
    }  # fmt: skip
    losses = {f"a_loss_with_a_rather_long_name_{i}": 0.123456789012345 for i in range(5)}
    step = {
        "seq": "NUMBER", "t": "2026-11-21T08:30:00.125Z", "type": "step", "phase": "increment", "step": "NUMBER",
        "epoch": 1.5, "losses": losses, "total": 1.25, "lr": 0.001, "seconds_per_step": 0.1, "eta_s": 60.0,
        "data_wait": 0.0, "ram_bytes": 1000000, "gpu_bytes": None,
    }  # fmt: skip
    before, middle, after = json.dumps(step).split('"NUMBER"')
    with path.open("w", encoding="utf-8") as file:
        written, number = file.write(json.dumps(head) + "\n"), 0
        while written < LOG_BYTES:
            number += 1
            written += file.write(f"{before}{number}{middle}{number}{after}\n")
    return number


def main(folder):
    for store in (slicer.app.settings(), slicer.app.userSettings()):
        store.setValue("OrganIncrement/folder", str(folder / "workspace"))
        store.setValue("OrganIncrement/engine/python", sys.executable)
    print(json.dumps({"opened": opened(), "table": table(), "log": log(folder), "torch": "torch" in sys.modules}))


main(Path(sys.argv[1]))
