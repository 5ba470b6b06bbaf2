"""Walking through uncertain regions: every view stands on the region."""

import numpy as np
import pytest
import slicer

from organincrement.contract.results import Region
from OrganIncrementLib.Logics.RegionWalk import RegionWalk, centreViews


def region(organ, centre):
    bounds = tuple(value for part in centre for value in (part - 5, part + 5))
    return Region(organ=organ, center_ras_mm=centre, bounds_ras_mm=bounds, volume_mm3=1000.0, mean=40.0, max=90.0)


REGIONS = (
    region("liver", (12.5, -20.25, 33.0)),
    region("spleen", (-40.0, 10.0, -5.5)),
    region("liver", (0.0, 0.0, 0.0)),
)


def test_walk_goes_round_and_round_in_both_directions():
    walk = RegionWalk(REGIONS)
    assert walk.current is None
    assert [walk.next() for _step in range(4)] == [*REGIONS, REGIONS[0]]
    assert walk.current is REGIONS[0]
    assert [walk.previous() for _step in range(3)] == [REGIONS[2], REGIONS[1], REGIONS[0]]


def test_first_step_backwards_is_the_last_region():
    assert RegionWalk(REGIONS).previous() is REGIONS[2]


def test_no_regions_are_said_and_walked_past():
    walk = RegionWalk(())
    assert walk.next() is walk.previous() is None
    assert walk.text() == "No uncertain regions"
    walk.centre(None)


def test_text_says_which_of_how_many_and_the_organ():
    walk = RegionWalk(REGIONS)
    assert walk.text() == "3 uncertain regions"
    walk.next()
    walk.next()
    assert walk.text() == "2 of 3: spleen"
    assert walk.text("Spleen") == "2 of 3: Spleen"


@pytest.mark.parametrize("oblique", [False, True])
def test_every_slice_view_has_the_region_in_its_plane_and_in_its_middle(obliquePhantomVolume, oblique):
    logics = slicer.app.layoutManager()
    if oblique:
        for name in ("Red", "Yellow", "Green"):
            logics.sliceWidget(name).mrmlSliceNode().RotateToVolumePlane(obliquePhantomVolume)
    walk = RegionWalk(REGIONS)
    for _step in range(3):
        walk.centre(walk.next())
        point = np.array(walk.current.center_ras_mm)
        for name in ("Red", "Yellow", "Green"):
            node = logics.sliceWidget(name).mrmlSliceNode()
            matrix = np.array([[node.GetSliceToRAS().GetElement(r, c) for c in range(4)] for r in range(4)])
            assert matrix[:3, 3] == pytest.approx(point, abs=1e-6), name


def test_three_d_views_turn_around_the_region_from_where_they_were(phantomVolume):
    view = slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(view)
    direction = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
    centreViews((7, 8, 9))
    assert camera.GetFocalPoint() == pytest.approx((7, 8, 9))
    assert np.subtract(camera.GetPosition(), camera.GetFocalPoint()) == pytest.approx(direction)


def test_regions_of_the_engine_are_uncertain_where_the_walk_stops(engineWorld):
    from OrganIncrementLib.Logics import ResultLoader

    volume = ResultLoader.loadImage(engineWorld.scan)
    uncertainty = ResultLoader.loadUncertainty(engineWorld.result, volume, "Uncertainty")
    regions = ResultLoader.loadRegions(engineWorld.result)
    array_KJI = slicer.util.arrayFromVolume(uncertainty)
    walk = RegionWalk(regions)
    for _step in regions:
        low, high = np.array(walk.next().bounds_ras_mm).reshape(3, 2).T
        rasToIjk = np.linalg.inv(slicer.util.arrayFromVTKMatrix(_ijkToRas(uncertainty)))
        corners = np.array([[*low, 1], [*high, 1]]) @ rasToIjk.T
        first, last = np.sort(corners[:, :3], axis=0)
        i, j, k = (slice(max(0, round(a)), round(b) + 1) for a, b in zip(first, last, strict=True))
        # a neighbour may reach into these bounds with higher values of its own
        assert np.isclose(array_KJI[k, j, i], walk.current.max, atol=1.5).any()


def _ijkToRas(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix
