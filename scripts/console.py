# SPDX-License-Identifier: GPL-2.0
"""Imported by the scripts that read the console of a guest."""

import re


def plain(line):
    """Without a time stamp."""
    return re.sub(r'^\[ *\d+\.\d+\](\[.*?\])? ', '', line.rstrip())


def lines(path):
    """Its lines without time stamps, and without a report that the unmodified base gives now and then: while identify_cpu() has the
    features of the CPU zeroed, 5 levels of page tables count as 4, and in an interrupt that comes then KASAN takes a good address for
    a wild one."""
    report = []
    with open(path, errors='replace') as console:
        for line in map(plain, console):
            if not report and not line.startswith('BUG: KASAN: wild-memory-access'):
                yield line
                continue
            report.append(line)
            if line.startswith('=' * 60):
                if not any('identify_cpu+' in at for at in report):
                    yield from report
                report = []
    yield from report
