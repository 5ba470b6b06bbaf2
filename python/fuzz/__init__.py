"""Seeded attacks on the engine, by the thousand: `python -m fuzz KIND`. The tests run some hundred of each."""
