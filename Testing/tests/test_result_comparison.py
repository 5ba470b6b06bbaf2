"""Section 4 with a real workspace and real packages; the engine runs in a process of its own."""

import shutil
from types import SimpleNamespace

import pytest
import slicer

from fixtures.modules import EXTENSION
from harness import records
from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from organincrement.contract.results import Evaluation, SummaryRow
from OrganIncrementLib.Controllers.ResultController import ResultController
from OrganIncrementLib.Engine.ComparisonRows import fromEvaluations, fromTraining
from OrganIncrementLib.Services import Services

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrementResult.ui"


class Parameters(SimpleNamespace):
    """The parameter node's part of this section; tells the controller of changes as the module does."""

    def __init__(self):
        super().__init__(
            resultModel="", evaluationDataset="", exportFormat="file", segmentModel="", teacherPath="", listener=None
        )

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if getattr(self, "listener", None) is not None and name != "listener":
            self.listener.parametersModified()


@pytest.fixture
def section(slicerApp, workFolder, engineWorld):
    """The section's widgets and controller on a workspace with a teacher and its student."""
    shutil.copytree(engineWorld.teacher, workFolder / "models" / "teacher")
    shutil.copytree(engineWorld.studentJob, workFolder / "jobs" / "student-job")
    shutil.copytree(engineWorld.teacherDataset, workFolder / "datasets" / "site-a")
    form = slicer.util.loadUI(str(FORM))
    form.show()
    ui = slicer.util.childWidgetVariables(form)
    controller = ResultController(ui, Services.forSlicer())
    parameters = Parameters()
    controller.attach(parameters)
    parameters.listener = controller
    yield SimpleNamespace(ui=ui, controller=controller, parameters=parameters, folder=workFolder)
    controller.close()
    form.hide()
    form.deleteLater()


def changed(package, **metrics):
    """Change a package's own figures, as another training would have written them."""
    manifest = codec.read(ModelManifest, package / "model.json")
    data = codec.to_json(manifest)
    data["metrics"].update(metrics)
    (package / "model.json").write_text(
        codec.dumps(codec.from_json(ModelManifest, data, where="test")), encoding="utf-8"
    )


def ended(section):
    """A condition to wait for: nothing runs any longer."""

    def isEnded():
        section.controller.tick()
        return not section.ui.resultProgressBar.visible

    return isEnded


def names(section):
    return [section.ui.comparisonTable.item(row, 0).text() for row in range(section.ui.comparisonTable.rowCount)]


def cells(section, column):
    return [section.ui.comparisonTable.item(row, column).text() for row in range(section.ui.comparisonTable.rowCount)]


def test_student_is_found_and_compared_by_its_own_figures(section):
    assert section.parameters.resultModel == str(section.folder / "jobs" / "student-job" / "student")
    assert names(section) == ["Liver", "Spleen", "Stomach"]
    assert cells(section, 1) == ["old", "old", "new"]
    assert cells(section, 2) == ["reference", "reference", "not known"]
    assert all(float(cell) >= 0 for cell in cells(section, 3))
    assert "Scans held back" in section.ui.comparisonNoteLabel.text
    assert not section.ui.evaluateButton.enabled and "dataset" in section.ui.evaluateButton.toolTip


def test_verdict_names_the_organ_and_the_plans_threshold(section):
    student = section.folder / "jobs" / "student-job" / "student"
    row = {"n": 2, "hd95_mm": None, "assd_mm": None, "ci95": None}
    rows = [{"organ": "liver", "dice": 0.71, **row}, {"organ": "spleen", "dice": 0.95, **row}]
    changed(student, agreement_with_teacher=rows, recommended=False)
    section.controller.modelsChanged()
    assert section.ui.recommendationLabel.text.startswith("NOT recommended: Liver agrees with the teacher by 0.71 only")
    assert "below 0.90" in section.ui.recommendationLabel.text
    rows[0]["dice"] = 0.93
    changed(student, agreement_with_teacher=rows, recommended=True)
    section.controller.modelsChanged()
    assert section.ui.recommendationLabel.text.startswith("It keeps the old organs")
    assert "hardly learned the new organ (Dice): Stomach 0.00" in section.ui.recommendationLabel.text
    assert cells(section, 4)[0] == "93 % alike"


def test_both_are_measured_on_a_dataset_in_the_background(section, settle):
    section.parameters.evaluationDataset = str(section.folder / "datasets" / "site-a")
    assert set(cells(section, 2)[:2]) == {"not measured"}
    assert "press Compare" in section.ui.comparisonNoteLabel.text
    section.ui.evaluateButton.click()
    assert section.ui.resultProgressBar.visible and not section.ui.evaluateButton.enabled
    settle(until=ended(section), seconds=120)
    assert records.texts("error") == []
    assert cells(section, 2)[2] == "not known" and cells(section, 3)[2] == "not labelled"
    before, after = float(cells(section, 2)[0]), float(cells(section, 3)[0])
    assert float(cells(section, 4)[0].split()[-1]) == pytest.approx(after - before, abs=0.0015)
    assert len(list((section.folder / "results").glob("*/evaluation-site-a-*/evaluation.json"))) == 2
    assert section.ui.studentReportButton.enabled and section.ui.teacherReportButton.enabled
    section.ui.studentReportButton.click()
    section.ui.teacherReportButton.click()
    urls = records.texts("openUrl")
    assert len(set(urls)) == 2 and all(url.endswith("evaluation.html") for url in urls)


def test_cancel_ends_both_measurements(section, settle):
    section.parameters.evaluationDataset = str(section.folder / "datasets" / "site-a")
    section.ui.evaluateButton.click()
    section.ui.resultCancelButton.click()
    assert not section.ui.resultCancelButton.enabled
    settle(until=ended(section), seconds=20)
    assert "Cancelled" in section.ui.resultStatusLabel.text
    assert not list((section.folder / "results").glob("*/*/evaluation.json"))


def test_engine_that_refuses_is_told_in_one_sentence(section, settle):
    dataset = section.folder / "datasets" / "site-a"
    section.parameters.evaluationDataset = str(dataset)
    for label in (dataset / "labels").iterdir():
        label.write_bytes(b"")
    section.ui.evaluateButton.click()
    settle(until=ended(section), seconds=60)
    (text,) = records.texts("error")
    assert "Traceback" not in text and text.count("\n") == 0


def test_back_to_an_ancestor_loses_no_file(section):
    before = sorted(section.folder.rglob("*"))
    assert section.ui.lineageList.count == 1
    section.ui.lineageList.setCurrentRow(0)
    section.ui.useAncestorButton.click()
    teacher = str(section.folder / "models" / "teacher")
    assert (section.parameters.teacherPath, section.parameters.segmentModel) == (teacher, teacher)
    assert sorted(section.folder.rglob("*")) == before
    assert "the student is kept" in section.ui.resultStatusLabel.text


def test_ancestor_that_is_elsewhere_is_still_named(section):
    shutil.rmtree(section.folder / "models" / "teacher")
    section.controller.modelsChanged()
    assert "not on this computer" in section.ui.lineageList.item(0).text()
    assert cells(section, 1) == ["old", "old", "new"]


@pytest.mark.parametrize("form", ["file", "folder"])
def test_export_writes_a_copy(section, settle, tmp_path, form):
    (tmp_path / "out").mkdir()
    section.parameters.exportFormat = form
    if form == "file":
        records.answer("getSaveFileName", str(tmp_path / "out" / "copy"))
    else:
        records.answer("getExistingDirectory", str(tmp_path / "out"))
    section.ui.exportButton.click()
    settle(until=ended(section), seconds=30)
    assert records.texts("error") == []
    (written,) = (tmp_path / "out").iterdir()
    assert written.suffix == (".oimodel" if form == "file" else "")
    assert str(written) in section.ui.resultStatusLabel.text


def test_export_to_nowhere_does_nothing(section):
    section.ui.exportButton.click()
    assert not section.ui.resultProgressBar.visible


def test_export_of_a_package_that_lost_its_weights_says_so(section):
    (section.folder / "jobs" / "student-job" / "student" / "weights.safetensors").unlink()
    section.controller.modelsChanged()
    assert not section.ui.exportButton.enabled
    assert "not whole" in section.ui.exportButton.toolTip


def test_a_new_student_is_shown_when_it_comes(section):
    first = section.parameters.resultModel
    shutil.copytree(section.folder / "jobs" / "student-job", section.folder / "jobs" / "z-second")
    section.controller.modelsChanged()
    assert section.parameters.resultModel != first


def test_without_any_student_the_section_says_what_to_do(slicerApp, workFolder):
    form = slicer.util.loadUI(str(FORM))
    ui = slicer.util.childWidgetVariables(form)
    controller = ResultController(ui, Services.forSlicer())
    controller.attach(Parameters())
    assert "train one" in ui.studentComboBox.itemText(0)
    assert not ui.exportButton.enabled and "student" in ui.exportButton.toolTip
    controller.close()


def test_organs_without_a_value_are_told_apart(engineWorld):
    student = codec.read(ModelManifest, engineWorld.student / "model.json")
    teacher = codec.read(ModelManifest, engineWorld.teacher / "model.json")
    summary = (
        SummaryRow(organ="liver", n=2, dice=0.9, hd95_mm=None, assd_mm=None, ci95=None),
        SummaryRow(organ="spleen", n=0, dice=None, hd95_mm=None, assd_mm=None, ci95=None),
    )
    evaluation = Evaluation(model="m", reference="truth", cases=(), summary=summary)
    liver, spleen, stomach = fromEvaluations(student, evaluation, teacher, evaluation)
    assert (liver.change.value, spleen.student.status, stomach.teacher.status) == (0.0, "not_labelled", "not_in_model")
    liver, spleen, stomach = fromEvaluations(student, evaluation, None, None)
    assert (liver.teacher.status, stomach.isNew) == ("not_measured", False)
    assert [row.isNew for row in fromTraining(student, None)] == [False, False, True]
