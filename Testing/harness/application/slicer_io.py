"""Loading and saving nodes by file name: a small `slicer.app.coreIOManager()`."""

import logging
from pathlib import Path

import slicer
import vtk
from PySide6 import QtCore

EXTENSIONS = [  # first match wins
    (".seg.nrrd", "SegmentationFile"),
    (".seg.vtm", "SegmentationFile"),
    (".mrk.json", "MarkupsFile"),
    (".nrrd", "VolumeFile"),
    (".nhdr", "VolumeFile"),
    (".nii.gz", "VolumeFile"),
    (".nii", "VolumeFile"),
    (".mha", "VolumeFile"),
    (".mhd", "VolumeFile"),
    (".dcm", "VolumeFile"),
    (".vtk", "ModelFile"),
    (".vtp", "ModelFile"),
    (".stl", "ModelFile"),
    (".obj", "ModelFile"),
    (".ply", "ModelFile"),
    (".h5", "TransformFile"),
    (".tfm", "TransformFile"),
    (".csv", "TableFile"),
    (".tsv", "TableFile"),
    (".ctbl", "ColorTableFile"),
    (".txt", "TextFile"),
    (".json", "TextFile"),
    (".mrml", "SceneFile"),
    (".mrb", "SceneFile"),
]
NODE_CLASSES = {
    "MarkupsFile": "vtkMRMLMarkupsFiducialNode",
    "ModelFile": "vtkMRMLModelNode",
    "TransformFile": "vtkMRMLTransformNode",
    "TableFile": "vtkMRMLTableNode",
    "ColorTableFile": "vtkMRMLColorTableNode",
    "TextFile": "vtkMRMLTextNode",
}


class IOManager(QtCore.QObject):
    """Reads by file type, writes by what the node or the scene offers."""

    cpp_class = True
    newFileLoaded = QtCore.Signal(object)

    def fileType(self, filename):
        lower = str(filename).lower()
        return next((kind for ending, kind in EXTENSIONS if lower.endswith(ending)), "NoFile")

    def fileWriterFileType(self, node, *_):
        return "VolumeFile" if node.IsA("vtkMRMLVolumeNode") else node.GetClassName()

    def loadNodes(self, filetype, properties, loaded=None, messages=None):
        filename = properties["fileName"]
        if not Path(filename).exists():
            return self._failed(messages, f"File not found: {filename}")
        if filetype == "SceneFile":
            read = self._read_scene(filename, bool(properties.get("clear", False)), messages)
            return read or self._failed(messages, f"Could not read {filename}")
        node = self._read_node(filetype, filename, properties)
        if node is None:
            return self._failed(messages, f"Could not read {filename}")
        if loaded is not None:
            loaded.AddItem(node)
        if filetype == "VolumeFile" and properties.get("show", True):
            slicer.util.setSliceViewerLayers(background=node, fit=True)
        self.newFileLoaded.emit(dict(properties))
        return True

    def _read_node(self, filetype, filename, properties):
        name = properties.get("name") or Path(filename).name.split(".")[0]
        if filetype == "VolumeFile":
            options = 1 if properties.get("labelmap") else 0
            if properties.get("singleFile"):
                options |= 4
            return slicer.modules.volumes.logic().AddArchetypeVolume(filename, name, options)
        if filetype == "SegmentationFile":
            logic = slicer.modules.segmentations.logic()
            return logic.LoadSegmentationFromFile(filename, properties.get("autoOpacities", True), name)
        if filetype not in NODE_CLASSES:
            return None
        node = slicer.mrmlScene.AddNewNodeByClass(NODE_CLASSES[filetype], name)
        node.AddDefaultStorageNode(filename)
        if node.GetStorageNode() is None or not node.GetStorageNode().ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            return None
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        return node

    @staticmethod
    def _read_scene(filename, clear, messages):
        if filename.lower().endswith(".mrb"):
            return bool(slicer.mrmlScene.ReadFromMRB(filename, clear, messages))
        slicer.mrmlScene.SetURL(filename)
        return bool(slicer.mrmlScene.Connect() if clear else slicer.mrmlScene.Import())

    def saveNodes(self, filetype, properties, messages=None):
        if filetype == "SceneFile":
            return self._save_scene(properties["fileName"], messages)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if not node.AddDefaultStorageNode(properties["fileName"]) and node.GetStorageNode() is None:
            return self._failed(messages, "This node cannot be saved")
        storage = node.GetStorageNode()
        storage.SetFileName(properties["fileName"])
        return bool(storage.WriteData(node)) or self._failed(messages, "Writing failed")

    def _save_scene(self, filename, messages):
        """An .mrb with everything, an .mrml without data, or a folder with everything."""
        lower = filename.lower()
        if lower.endswith(".mrb"):
            saved = slicer.mrmlScene.WriteToMRB(filename, None, messages)
        elif lower.endswith(".mrml"):
            slicer.mrmlScene.SetURL(filename)
            slicer.mrmlScene.SetRootDirectory(str(Path(filename).parent))
            saved = slicer.mrmlScene.Commit()
        else:
            Path(filename).mkdir(parents=True, exist_ok=True)
            saved = slicer.app.applicationLogic().SaveSceneToSlicerDataBundleDirectory(filename, None)
        return bool(saved) or self._failed(messages, f"Could not write {filename}")

    @staticmethod
    def _failed(messages, text):
        logging.error(text)
        if messages is not None:
            messages.AddMessage(vtk.vtkCommand.ErrorEvent, text)
        return False
