# SPDX-License-Identifier: GPL-2.0
"""Imported by the scripts that read the console of a guest."""

import os
import re


def plain(line):
    """Without a time stamp."""
    return re.sub(r'^\[ *\d+\.\d+\](\[.*?\])? ', '', line.rstrip())


def lines(path):
    """Its lines, without time stamps."""
    with open(path, errors='replace') as console:
        yield from map(plain, console)


def recorded(name):
    """
    The cases of the base's suite that passed on the unmodified BASE for NAME, an architecture or with tags ARCH-FLAVOUR, and those
    that failed there, which have a ! before them in the file. Where nothing is recorded it is that of 6.12, or of x86_64.
    """
    place = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + '/tools/testing/kasan_vmalloc'
    where = [f'{place}/{base}/{n}.passes' for n in (name, 'x86_64') for base in (os.environ['BASE'], '6.12')]
    names = open(next(filter(os.path.exists, where))).read().split()
    return [n for n in names if n[0] != '!'], {n[1:] for n in names if n[0] == '!'}


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
