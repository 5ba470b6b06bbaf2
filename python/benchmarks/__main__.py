"""`make bench` lists the studies: each takes its own inputs."""

print(
    "\n".join(
        f"python -m benchmarks.{study} --help"
        for study in ("headneck", "methods", "audit", "speed", "memory", "decoders")
    )
)
