"""`qt`: PySide6 that behaves like PythonQt."""
