"""`make bench` lists the studies: each takes its own inputs."""

print("studies: python -m benchmarks.presets --help; python -m benchmarks.speed --help")
