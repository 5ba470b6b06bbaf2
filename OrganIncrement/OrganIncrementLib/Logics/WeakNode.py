"""A node to come back to, without keeping it: a scene may be closed, and its ids given to other nodes, meanwhile."""

import slicer
import vtk


class WeakNode:
    """Remembers a node of the scene; `node` gives it back as long as it is there."""

    def __init__(self, node):
        self._id = node.GetID()
        self._weak = vtk.vtkWeakReference()
        self._weak.Set(node)

    @property
    def node(self):
        """The node, None where it or its scene is gone."""
        node = self._weak.Get()
        return node if node is not None and slicer.mrmlScene.GetNodeByID(self._id) is node else None
