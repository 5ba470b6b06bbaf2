"""What happens in the scene: MRML and VTK only; no Qt."""
