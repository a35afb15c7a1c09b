"""The first characters of every entry, by which a script recognises a live entry."""

VERSION = 1
OPENING = f'{{"v":{VERSION},"epochs":{{"":"'
"""The beginning of every entry; the epoch of its namespace follows."""
