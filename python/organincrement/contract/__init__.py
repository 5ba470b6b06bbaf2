"""Every file that outlives a process; standard library only."""
