"""One controller a module: joins panels, logics and the engine; no widget is made here."""
