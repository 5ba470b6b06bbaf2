"""The studies: each takes its own inputs. `make bench` runs `speed`."""

print(
    "\n".join(
        f"python -m benchmarks.{study} --help"
        for study in ("headneck", "methods", "audit", "speed", "memory", "decoders")
    )
)
