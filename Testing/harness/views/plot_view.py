"""qMRMLPlotView: the chart of a vtkMRMLPlotChartNode, drawn by vtkChartXY."""

import slicer
import vtk
from PySide6.QtCore import Signal

from harness.views.off_screen_view import OffScreenView
from harness.widgets.qmrml_base import SceneWidget, unobserve

_LINES = {"None": 0, "Solid": 1, "Dash": 2, "Dot": 3, "DashDot": 4, "DashDotDot": 5}
_MARKERS = {"None": 0, "Cross": 1, "Plus": 2, "Square": 3, "Circle": 4, "Diamond": 5}


class qMRMLPlotView(SceneWidget, OffScreenView):
    """Redraws when the view node chooses another chart, or the chart, a series or its table changes."""

    mrmlSceneChanged = Signal(object)
    dataSelected = Signal(object, object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._view_node, self._view_tags, self._chart_tags, self._outdated = None, [], [], True
        self._renderer.SetBackground(1, 1, 1)
        self._chart = vtk.vtkChartXY()
        self._chart.SetHiddenAxisBorder(20)
        self._actor = vtk.vtkContextActor()
        self._actor.GetScene().AddItem(self._chart)
        self._actor.GetScene().SetRenderer(self._renderer)
        self._renderer.AddActor(self._actor)

    def mrmlPlotViewNode(self):
        return self._view_node

    def setMRMLPlotViewNode(self, node):
        unobserve(self._view_tags)
        self._view_node = node
        if node is not None:
            self._view_tags += self._observe(node, ["ModifiedEvent"], self._chart_chosen)
        self._chart_chosen()

    def chart(self):
        return self._chart

    def fitToContent(self):
        self._chart.RecalculateBounds()
        self.scheduleRender()

    def plotNames(self):
        """For tests: the names of the series that are drawn."""
        self._rebuild()
        return [self._chart.GetPlot(i).GetLabel() for i in range(self._chart.GetNumberOfPlots())]

    def _chart_chosen(self):
        unobserve(self._chart_tags)
        node = self._chart_node()
        if node is not None:
            # the chart node passes on the events of its series and their tables
            events = ["ModifiedEvent", slicer.vtkMRMLPlotChartNode.PlotModifiedEvent]
            self._chart_tags += self._observe(node, events, self._changed)
        self._changed()

    def _changed(self):
        self._outdated = True
        self.scheduleRender()

    def _chart_node(self):
        return self._view_node.GetPlotChartNode() if self._view_node is not None else None

    def prepare(self):
        self._rebuild()
        self._actor.GetScene().SetGeometry(*self._window.GetSize())

    def _rebuild(self):
        if not self._outdated:
            return
        self._outdated = False
        self._chart.ClearPlots()
        node = self._chart_node()
        self._actor.SetVisibility(node is not None)
        if node is None:
            return
        for index in range(node.GetNumberOfPlotSeriesNodes()):
            self._add_series(node.GetNthPlotSeriesNode(index))
        self._set_titles(node)
        for position, which in ((vtk.vtkAxis.BOTTOM, "X"), (vtk.vtkAxis.LEFT, "Y")):
            _set_axis(self._chart.GetAxis(position), node, which)
        self._chart.RecalculateBounds()

    def _set_titles(self, node):
        self._chart.SetTitle(node.GetTitle() or "" if node.GetTitleVisibility() else "")
        self._chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
        self._chart.SetShowLegend(node.GetLegendVisibility())
        self._chart.GetLegend().SetLabelSize(node.GetLegendFontSize())

    def _add_series(self, series):
        table = series.GetTableNode().GetTable() if series is not None and series.GetTableNode() else None
        y = table.GetColumnByName(series.GetYColumnName() or "") if table is not None else None
        if y is None or table.GetNumberOfRows() == 0:
            return
        x = table.GetColumnByName(series.GetXColumnName() or "")
        kind = series.GetPlotType()
        if series.IsXColumnRequired() and x is None:
            return
        bar = kind in (series.PlotTypeBar, series.PlotTypeScatterBar)
        plot = self._chart.AddPlot(vtk.vtkChart.BAR if bar else vtk.vtkChart.LINE)
        scatter = kind in (series.PlotTypeScatter, series.PlotTypeScatterBar)
        if x is not None and scatter:
            plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
        else:
            plot.SetInputData(table, series.GetYColumnName(), series.GetYColumnName())
            plot.SetUseIndexForXSeries(True)
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetOpacity(series.GetOpacity())
        plot.SetWidth(series.GetLineWidth())
        if not bar:
            plot.GetPen().SetLineType(_line(series))
            plot.SetMarkerStyle(_marker(series))
            plot.SetMarkerSize(series.GetMarkerSize())


def _line(series):
    style = series.GetLineStyleAsString(series.GetLineStyle()).replace("-", "").lower()
    return next((number for name, number in _LINES.items() if name.lower() == style), 1)


def _marker(series):
    return _MARKERS.get(series.GetMarkerStyleAsString(series.GetMarkerStyle()).title(), 0)


def _set_axis(axis, node, which):
    def of(name):
        return getattr(node, f"Get{which}Axis{name}")()

    axis.SetTitle(of("Title") or "" if of("TitleVisibility") else "")
    axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
    axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
    axis.SetGridVisible(node.GetGridVisibility())
    axis.SetLogScale(of("LogScale"))
    if of("RangeAuto"):
        axis.SetBehavior(vtk.vtkAxis.AUTO)
    else:
        axis.SetBehavior(vtk.vtkAxis.FIXED)
        axis.SetRange(*of("Range"))
