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


def malformed(path):
    """
    Reports that those who read them by machine would not take: dashboards of fuzzers match the headline, and what was done in
    one of the lines after it.
    """
    headline, age = None, 0
    for line in lines(path):
        if line.startswith('BUG: KASAN: '):
            if headline:
                yield headline
            headline, age = line, 0
        elif headline:
            m = re.match(r'BUG: KASAN: ([a-z-]+) in [A-Za-z0-9_]+', headline)
            free = m and m[1] in ('double-free', 'invalid-free')
            age += 1
            if m and re.search(r'Free of addr [0-9a-f]+ by' if free else r'(Read|Write) (of size \d+ )?at addr [0-9a-f]+ by', line):
                headline = None
            elif age == 5:
                yield headline
                headline = None
