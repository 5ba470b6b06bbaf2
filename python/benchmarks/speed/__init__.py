"""What `make bench` measures: each part a module with `measure`, side by side in one run, and one page of them all."""
