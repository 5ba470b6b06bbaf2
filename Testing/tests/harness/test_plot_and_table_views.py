"""Charts and tables in the layout."""

import numpy as np
import qt
import slicer
import vtk


def lossChart(values=(3.0, 2.0, 1.5, 1.2)):
    """Chart, series and table nodes as a module makes them."""
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Loss")
    slicer.util.updateTableFromArray(table, np.array([range(len(values)), values]).T, ["step", "loss"])
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "total loss")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("step")
    series.SetYColumnName("loss")
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    series.SetColor(0.0, 0.0, 0.8)
    series.SetLineWidth(4)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Training")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle("Training")
    chart.SetXAxisTitle("step")
    return chart, series, table


def test_a_chart_is_drawn_in_the_layout(slicerApp):
    chart, series, _table = lossChart()
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    manager = slicer.app.layoutManager()
    assert manager.plotViewCount == 1
    view = manager.plotWidget(0).plotView()
    assert view.mrmlPlotViewNode().GetPlotChartNode() is chart
    assert view.plotNames() == ["total loss"]
    blue = bluePixels(view)
    assert blue.mean() > 0.001
    series.SetColor(0.8, 0.0, 0.0)
    assert bluePixels(view).mean() < blue.mean() / 10


def bluePixels(view):
    pixels = view.pixels().astype(int)
    return (pixels[..., 2] - pixels[..., 0]) > 100


def test_a_chart_follows_its_table(slicerApp):
    chart, _, table = lossChart()
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    view.pixels()
    before = view.chart().GetAxis(vtk.vtkAxis.LEFT).GetMaximum()
    slicer.util.updateTableFromArray(table, np.array([range(6), range(0, 600, 100)]).T, ["step", "loss"])
    view.pixels()
    assert view.chart().GetAxis(vtk.vtkAxis.LEFT).GetMaximum() > before + 300


def test_a_chart_keeps_a_fixed_range(slicerApp):
    chart, _, _ = lossChart()
    chart.YAxisRangeAutoOff()
    chart.SetYAxisRange(0, 1)
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    view.pixels()
    assert view.chart().GetAxis(vtk.vtkAxis.LEFT).GetMaximum() == 1


def test_the_plot_view_is_empty_when_the_scene_is_closed(slicerApp):
    chart, _, _ = lossChart()
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    assert view.plotNames() == ["total loss"]
    slicer.mrmlScene.Clear(False)
    assert view.plotNames() == []


def test_a_table_is_shown_and_edited_in_the_layout(slicerApp):
    _, _, table = lossChart()
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(table.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()
    view = manager.tableWidget(0).tableView()
    assert view.mrmlTableNode() is table
    assert view.rowCount == 4
    view.item(0, 1).setText("7.5")
    assert table.GetCellText(0, 1) == "7.5"
    table.SetLocked(True)
    assert not view.item(0, 0).flags() & qt.Qt.ItemIsEditable
