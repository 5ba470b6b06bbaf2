"""`sitkUtils`: volumes to and from SimpleITK images (LPS in SimpleITK, RAS in MRML)."""

import numpy as np
import slicer
import vtk


def PullVolumeFromSlicer(nodeOrName):
    import SimpleITK as sitk

    node = slicer.util.getNode(nodeOrName) if isinstance(nodeOrName, str) else nodeOrName
    image = sitk.GetImageFromArray(slicer.util.arrayFromVolume(node))
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    ras = slicer.util.arrayFromVTKMatrix(matrix)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in lps[:3, 3]])
    image.SetDirection([float(v) for v in (lps[:3, :3] / spacing).ravel()])
    return image


def PushVolumeToSlicer(image, targetNode=None, name=None, className="vtkMRMLScalarVolumeNode"):
    import SimpleITK as sitk

    if targetNode is None:
        targetNode = slicer.mrmlScene.AddNewNodeByClass(className, name or "Volume")
    slicer.util.updateVolumeFromArray(targetNode, sitk.GetArrayFromImage(image))
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    targetNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps))
    targetNode.CreateDefaultDisplayNodes()
    return targetNode


PushToSlicer, PullFromSlicer = PushVolumeToSlicer, PullVolumeFromSlicer
