"""A job's progress in Slicer's plot views: losses, and the Dice of new and old organs."""

from collections.abc import Mapping

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from OrganIncrementLib.Logics.PlotLayout import assignCharts, restoreLayout, showLayout
from OrganIncrementLib.Translation import _

MARK = "OrganIncrement.Plot"
# Okabe and Ito's colours, which everybody can tell apart; black is left out and yellow darkened, for a white ground.
COLORS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (170, 160, 0))
LOSS, DICE, TEACHER = "loss", "dice", "teacher"
DICE_TOP = 1.05  # so that the teacher's line, at 1, is seen
FONT_POINTS = 11
LEGEND_ROOM = 1.6  # the legend stands at the right, where the lines of good training would lie under it


class TrainingPlots:
    """Two charts of one job. It keeps ids, no nodes; none of its nodes is saved with the scene.

    organNames: what to call an organ id in the legend.
    """

    def __init__(self, organNames: Mapping[str, str] | None = None) -> None:
        self.organNames = dict(organNames or {})
        self._charts: dict[str, str] = {}
        self._series: dict[str, str] = {}
        self._tables: dict[str, str] = {}
        self._drawn: dict[str, tuple] = {}
        self._layoutBefore: int | None = None

    def update(self, series: Mapping[str, object]) -> None:
        """Draw the series: name -> points (step, value), as `JobWatcher` gives them; other series vanish.

        Names: "loss", "loss/<term>", "dice/<organ>" (new organs), "agreement/<organ>" (old ones, with the teacher).
        Where there are old ones, the teacher is drawn too: a line at 1, which a student without any loss would keep.
        """
        self._makeCharts()
        series = {**series, **_teacherLine(series)}
        for name in [name for name in self._series if name not in series]:
            self._removeSeries(name)
        for name, points in series.items():
            stamp = (len(points), *(tuple(points[n]) for n in (0, -1) if len(points)))
            if self._drawn.get(name) == stamp and self._node(self._series.get(name)) is not None:
                continue
            self._draw(name, np.asarray(points, dtype=np.float64).reshape(-1, 2))
            self._drawn[name] = stamp
        self._leaveRoom()

    def showIn(self, layout: int | None = None) -> None:
        """Show the charts: in a layout of Slicer (its number), else beside the slice views. `remove` goes back."""
        self._makeCharts()
        before = showLayout(layout)
        if self._layoutBefore is None:
            self._layoutBefore = before
        assignCharts(self._charts[LOSS], self._charts[DICE])

    def remove(self) -> None:
        """Take the charts out of the scene and the layout back to what it was; harmless when there are none."""
        for nodeId in (*self._charts.values(), *self._series.values(), *self._tables.values()):
            node = self._node(nodeId)
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        if self._layoutBefore is not None:
            restoreLayout(self._layoutBefore)
        self._charts, self._series, self._tables, self._drawn = {}, {}, {}, {}
        self._layoutBefore = None

    def _makeCharts(self) -> None:
        diceAxis = _("Dice: new with the labels, old with the teacher")
        for key, title, axis in ((LOSS, _("Loss"), _("Loss")), (DICE, _("Dice"), diceAxis)):
            if self._node(self._charts.get(key)) is not None:
                continue
            chart = self._add("vtkMRMLPlotChartNode", title)
            chart.SetTitle(title)
            chart.SetXAxisTitle(_("Step"))
            chart.SetYAxisTitle(axis)
            chart.SetTitleVisibility(False)
            chart.SetLegendVisibility(True)
            chart.SetLegendFontSize(FONT_POINTS)
            chart.SetAxisTitleFontSize(FONT_POINTS)
            chart.SetAxisLabelFontSize(FONT_POINTS)
            if key == DICE:
                chart.SetYAxisRangeAuto(False)
                chart.SetYAxisRange(0, DICE_TOP)
            self._charts[key] = chart.GetID()

    def _leaveRoom(self) -> None:
        """Let the Dice chart end to the right of its last point, which is where its legend is."""
        stamps = [stamp for name, stamp in self._drawn.items() if not name.startswith(LOSS) and stamp[0]]
        last = max((float(stamp[-1][0]) for stamp in stamps), default=0.0)
        chart = self._node(self._charts[DICE])
        chart.SetXAxisRangeAuto(False)
        chart.SetXAxisRange(0, max(1.0, LEGEND_ROOM * last))

    def _draw(self, name: str, points: np.ndarray) -> None:
        tableNode = self._node(self._tables.get(name))
        isNew = tableNode is None or self._node(self._series.get(name)) is None
        if isNew:
            self._removeSeries(name)
            tableNode = self._add("vtkMRMLTableNode", name)
            self._tables[name] = tableNode.GetID()
        _fill(tableNode, points)
        if isNew:
            self._addSeries(name, tableNode)

    def _addSeries(self, name: str, tableNode) -> None:
        chart = self._node(self._charts[LOSS if name.partition("/")[0] == LOSS else DICE])
        node = self._add("vtkMRMLPlotSeriesNode", self._label(name))
        node.SetAndObserveTableNodeID(tableNode.GetID())
        node.SetXColumnName("x")
        node.SetYColumnName("y")
        node.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        isOld = name.startswith("agreement/") or name == TEACHER
        lineStyle = slicer.vtkMRMLPlotSeriesNode.LineStyleDash if isOld else slicer.vtkMRMLPlotSeriesNode.LineStyleSolid
        node.SetLineStyle(lineStyle)
        node.SetLineWidth(3 if name == LOSS else 2)
        marker = slicer.vtkMRMLPlotSeriesNode
        isBare = name.startswith(LOSS) or name == TEACHER
        node.SetMarkerStyle(marker.MarkerStyleNone if isBare else marker.MarkerStyleCircle)
        color = (0, 0, 0) if name in (LOSS, TEACHER) else self._color(name)
        node.SetColor(*(part / 255 for part in color))
        self._series[name] = node.GetID()
        chart.AddAndObservePlotSeriesNodeID(node.GetID())

    def _color(self, name: str) -> tuple[int, int, int]:
        """A colour that no series of the same chart has yet, as long as there are any."""
        isLoss = name.startswith(LOSS)
        taken = [one for one in self._series if one not in (LOSS, TEACHER) and one.startswith(LOSS) == isLoss]
        return COLORS[len(taken) % len(COLORS)]

    def _label(self, name: str) -> str:
        kind, _separator, part = name.partition("/")
        if not part:
            return _("Teacher") if kind == TEACHER else _("Total")
        words = self.organNames.get(part) or part.replace("_", " ").capitalize()
        if kind == LOSS:
            return words
        form = _("{organ}, as teacher") if kind == "agreement" else _("{organ}, new")
        return form.format(organ=words)

    def _removeSeries(self, name: str) -> None:
        for ids in (self._series, self._tables):
            node = self._node(ids.pop(name, None))
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._drawn.pop(name, None)

    def _add(self, className: str, name: str):
        node = slicer.mrmlScene.AddNewNodeByClass(className, name)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.SetAttribute(MARK, "1")
        return node

    @staticmethod
    def _node(nodeId: str | None):
        node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
        # A scene that was opened since may have given the id to another node.
        return node if node is not None and node.GetAttribute(MARK) else None


def _teacherLine(series: Mapping[str, object]) -> dict[str, tuple]:
    """A line at 1 as far as the old organs' lines go; none without old organs."""
    old = [points for name, points in series.items() if name.startswith("agreement/") and len(points)]
    return {TEACHER: ((0.0, 1.0), (max(float(points[-1][0]) for points in old), 1.0))} if old else {}


def _fill(tableNode, points: np.ndarray) -> None:
    """Put the points into the columns x and y, which are made once."""
    wasModified = tableNode.StartModify()
    table = tableNode.GetTable()
    if table.GetNumberOfColumns() != 2:
        for column in ("x", "y"):
            array = vtk.vtkDoubleArray()
            array.SetName(column)
            table.AddColumn(array)
    for column in range(2):
        array = table.GetColumn(column)
        array.SetNumberOfTuples(len(points))
        if len(points):
            vtk_to_numpy(array)[:] = points[:, column]
        array.Modified()
    table.Modified()
    tableNode.Modified()
    tableNode.EndModify(wasModified)
