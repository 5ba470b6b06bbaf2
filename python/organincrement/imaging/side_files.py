"""Names of files that systems put into any folder by themselves; they are no part of what is in it."""

OF_THE_SYSTEM = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "autorun.inf", ".directory"})
