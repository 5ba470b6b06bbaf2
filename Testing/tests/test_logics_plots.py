"""A job's plots: right series, quick, and gone without a trace."""

import time

import numpy as np
import pytest
import slicer

from OrganIncrementLib.Logics import PlotLayout
from OrganIncrementLib.Logics.TrainingPlots import TrainingPlots

NAMES = {"stomach": "Magen"}


def points(count=20, level=0.5):
    return [(10 * step, level + 0.01 * step) for step in range(count)]


def job(count=20):
    return {
        "loss": points(count), "loss/distillation": points(count, 0.1), "loss/new organ": points(count, 0.2),
        "dice/stomach": points(5), "agreement/liver": points(5, 0.9), "agreement/kidney_left": points(5, 0.8),
    }  # fmt: skip


@pytest.fixture
def plots(slicerApp):
    made = TrainingPlots(NAMES)
    yield made
    made.remove()


def charts():
    return {node.GetTitle(): node for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode")}


def seriesOf(chart):
    return [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]


def values(series):
    table = series.GetTableNode().GetTable()
    return [
        (table.GetValue(row, 0).ToDouble(), table.GetValue(row, 1).ToDouble()) for row in range(table.GetNumberOfRows())
    ]


def plotNodes():
    return [
        node for kind in ("Chart", "Series") for node in slicer.util.getNodesByClass(f"vtkMRMLPlot{kind}Node")
    ] + list(slicer.util.getNodesByClass("vtkMRMLTableNode"))


def test_losses_and_dice_are_in_their_charts_under_their_names(plots):
    plots.update(job())
    found = charts()
    assert [series.GetName() for series in seriesOf(found["Loss"])] == ["Total", "Distillation", "New organ"]
    assert [series.GetName() for series in seriesOf(found["Dice"])] == [
        "Magen, new", "Liver, as teacher", "Kidney left, as teacher", "Teacher",
    ]  # fmt: skip
    assert np.allclose(values(seriesOf(found["Loss"])[0]), points())
    assert found["Dice"].GetXAxisTitle() == "Step"


def test_series_of_a_chart_can_be_told_apart(plots):
    plots.update({**job(), **{f"agreement/organ_{n}": points(3) for n in range(4)}})
    for chart in charts().values():
        looks = [(series.GetColor(), series.GetLineStyle()) for series in seriesOf(chart)]
        assert len(set(looks)) == len(looks)
    dashes = [series.GetName() for series in seriesOf(charts()["Dice"]) if series.GetLineStyle() != 1]
    assert all(name.endswith("as teacher") or name == "Teacher" for name in dashes)


def test_teacher_is_a_line_at_one_that_old_organs_are_seen_against(plots):
    plots.update({"dice/stomach": points(5)})
    assert [series.GetName() for series in seriesOf(charts()["Dice"])] == ["Magen, new"]  # a first model has no teacher
    plots.update(job())
    teacher = seriesOf(charts()["Dice"])[-1]
    assert values(teacher) == [(0.0, 1.0), (40.0, 1.0)]
    assert teacher.GetColor() == (0, 0, 0)
    chart = charts()["Dice"]
    assert "old with the teacher" in chart.GetYAxisTitle()
    assert chart.GetYAxisRange()[1] > 1  # or it would lie on the frame


def test_updates_reuse_the_nodes_and_grow_the_lines(plots):
    plots.update(job(5))
    before = {node.GetID() for node in plotNodes()}
    for count in (6, 50, 2000, 3):
        plots.update(job(count))
        assert {node.GetID() for node in plotNodes()} == before
        assert np.allclose(values(seriesOf(charts()["Loss"])[0]), points(count))


def test_series_that_are_no_longer_there_vanish_and_come_back(plots):
    plots.update(job())
    count = len(plotNodes())
    plots.update({"loss": points()})
    assert [series.GetName() for series in seriesOf(charts()["Loss"])] == ["Total"]
    plots.update(job())
    assert len(plotNodes()) == count


def test_another_job_of_the_same_length_is_drawn(plots):
    plots.update({"loss": points(20, 0.5)})
    plots.update({"loss": points(20, 0.7)})
    assert np.allclose(values(seriesOf(charts()["Loss"])[0]), points(20, 0.7))


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 2))], ids=["list", "tuple", "array"])
def test_series_without_points_draw_nothing(plots, empty):
    plots.update({"loss": empty})
    assert values(seriesOf(charts()["Loss"])[0]) == []


def test_arrays_and_values_that_are_missing_are_taken(plots):
    plots.update(
        {
            "loss": np.array(points(4)),
            "dice/stomach": [(0, float("nan")), (10, 0.5)],
            "agreement/liver": ((0, None), (5, 1)),
        }
    )
    assert np.allclose(values(seriesOf(charts()["Loss"])[0]), points(4))
    assert np.isnan(values(seriesOf(charts()["Dice"])[0])[0][1])


def test_nothing_is_saved_with_the_scene_or_offered_in_selectors(plots, tmp_path):
    plots.update(job())
    assert not any(node.GetSaveWithScene() for node in plotNodes())
    assert all(node.GetHideFromEditors() for node in plotNodes())
    slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    slicer.mrmlScene.Clear(False)
    slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)
    assert plotNodes() == []


def test_remove_leaves_nothing_and_may_be_called_twice(plots):
    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    plots.update(job())
    plots.remove()
    plots.remove()
    assert {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")} == before


def test_scene_closed_meanwhile_is_drawn_anew(plots):
    plots.update(job())
    slicer.mrmlScene.Clear(False)
    plots.update(job())
    assert len(seriesOf(charts()["Loss"])) == 3
    plots.remove()
    assert plotNodes() == []


def test_user_deletes_a_series_and_it_is_made_again(plots):
    plots.update(job())
    slicer.mrmlScene.RemoveNode(seriesOf(charts()["Loss"])[0])
    plots.update(job(21))
    assert len(seriesOf(charts()["Loss"])) == 3


def test_plots_lie_beside_the_slice_views_and_the_layout_comes_back(plots):
    manager = slicer.app.layoutManager()
    layouts = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    before = layouts.GetViewArrangement()
    plots.update(job())
    plots.showIn()
    assert layouts.GetViewArrangement() == PlotLayout.LAYOUT
    for name in ("Red", "Yellow", "Green"):
        assert manager.sliceWidget(name) is not None
    views = {view.GetSingletonTag(): view for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode")}
    assert views[PlotLayout.LOSS_VIEW].GetPlotChartNode() is charts()["Loss"]
    assert views[PlotLayout.DICE_VIEW].GetPlotChartNode() is charts()["Dice"]
    plots.showIn()
    plots.remove()
    assert layouts.GetViewArrangement() == before


def test_layout_chosen_by_the_user_since_stays(plots):
    layouts = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    plots.showIn()
    layouts.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    plots.remove()
    assert layouts.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_slicer_knows_the_layout_from_its_start_and_does_not_start_with_it(slicerApp, expectErrors):
    expectErrors(str(PlotLayout.LAYOUT))  # VTK complains of a layout that nobody has described
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    node.SetViewArrangement(PlotLayout.LAYOUT)  # as a restored window, or a scene, asks for
    PlotLayout.register()
    PlotLayout.register()
    assert node.IsLayoutDescription(PlotLayout.LAYOUT)
    assert node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_in_a_layout_of_slicer_with_one_plot_it_shows_the_dice(plots):
    plots.update(job())
    plots.showIn(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
    views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    assert charts()["Dice"] in [view.GetPlotChartNode() for view in views]


@pytest.mark.parametrize("kind", ["lists", "arrays"])
def test_update_of_a_long_job_takes_less_than_20_milliseconds(plots, kind):
    def long(step):
        base = np.column_stack([np.arange(2000.0), np.random.default_rng(step).random(2000)])
        one = base if kind == "arrays" else [tuple(row) for row in base.tolist()]
        return {
            "loss": one,
            **{f"loss/{n}": one for n in range(6)},
            "dice/a": one,
            "agreement/b": one,
            "agreement/c": one,
        }

    plots.update(long(0))
    jobs = [long(step) for step in range(1, 6)]
    spent = []
    for one in jobs:
        started = time.process_time()
        plots.update(one)
        spent.append(time.process_time() - started)
    started = time.process_time()
    plots.update(jobs[-1])
    unchanged = time.process_time() - started
    print(f"{1000 * np.median(spent):.1f} ms, unchanged {1000 * unchanged:.2f} ms")
    assert np.median(spent) < 0.02
    assert unchanged < 0.002
