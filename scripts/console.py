# SPDX-License-Identifier: GPL-2.0
"""Imported by the scripts that read the console of a guest."""

import re


def plain(line):
    """Without a time stamp."""
    return re.sub(r'^\[ *\d+\.\d+\](\[.*?\])? ', '', line.rstrip())


def lines(path):
    """Its lines, without time stamps."""
    with open(path, errors='replace') as console:
        yield from map(plain, console)
