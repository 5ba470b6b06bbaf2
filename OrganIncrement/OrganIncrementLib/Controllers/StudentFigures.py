"""What section 4 shows of one student: rows, verdict, lineage, and why a button cannot be pressed."""

from slicer.i18n import tr as _

from organincrement.contract.model import LineageStep
from OrganIncrementLib.Controllers.StudentWords import evaluationNote, lineageLines, trainingNote, verdictOf
from OrganIncrementLib.Engine.ComparisonRows import fromEvaluations, fromTraining
from OrganIncrementLib.Engine.Evaluations import evaluationName, readEvaluation, reportPage, thresholdOf
from OrganIncrementLib.Workspace import safeName


def teacherOf(workspace, student):
    """The package that a student learned from; None where there is none, or not on this computer."""
    ancestors = workspace.ancestors(student.manifest)
    return None if not ancestors or isinstance(ancestors[-1], LineageStep) else ancestors[-1]


def evaluationFolder(workspace, entry, dataset):
    """Where a model's evaluation on a dataset lies, or would lie."""
    return workspace.resultsFolder / entry.sha256[:8] / safeName(evaluationName(dataset.path))


def withoutStudent():
    """Fields of ResultState while no student is chosen."""
    fields = ("whyNoEvaluation", "whyNoStudentReport", "whyNoTeacherReport", "whyNoExport")
    return dict.fromkeys(fields, _("Choose a student first"))


def aboutStudent(workspace, student, dataset, busy):
    """Fields of ResultState. dataset: None for the figures of the training; busy: why nothing new can be started."""
    teacher = teacherOf(workspace, student)
    verdict, sentence = verdictOf(student.manifest, thresholdOf(student.path))
    fields = {
        "student": str(student.path),
        "verdict": verdict,
        "verdictText": sentence,
        "lineage": lineageLines(workspace.ancestors(student.manifest)),
        "whyNoExport": busy or student.problem,
    }
    figures = _ofTraining(student, teacher) if dataset is None else _onDataset(workspace, student, teacher, dataset)
    if busy or student.problem:
        figures["whyNoEvaluation"] = busy or student.problem
    return fields | figures


def _ofTraining(student, teacher):
    missing = _("Choose a dataset to measure on")
    return {
        "rows": fromTraining(student.manifest, teacher.manifest if teacher else None),
        "note": trainingNote(student.manifest),
        "whyNoEvaluation": missing,
        "whyNoStudentReport": missing,
        "whyNoTeacherReport": missing,
    }


def _onDataset(workspace, student, teacher, dataset):
    folder = evaluationFolder(workspace, student, dataset)
    teacherFolder = evaluationFolder(workspace, teacher, dataset) if teacher else None
    mine, theirs = readEvaluation(folder), readEvaluation(teacherFolder) if teacherFolder else None
    note = _("Not measured on {dataset} yet: press Compare.").format(dataset=dataset.name)
    if mine is not None:
        note = evaluationNote(dataset.name, mine, theirs is not None)
    missing = _("Press Compare first")
    noTeacher = missing if teacher else _("The teacher's package is not on this computer")
    return {
        "rows": fromEvaluations(student.manifest, mine, teacher.manifest if teacher else None, theirs),
        "note": note,
        "whyNoStudentReport": "" if reportPage(folder) else missing,
        "whyNoTeacherReport": "" if teacherFolder and reportPage(teacherFolder) else noTeacher,
    }
