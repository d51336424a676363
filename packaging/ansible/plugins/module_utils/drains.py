# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

"""What is told of drains."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


def left_behind(drain):
    """Who is left after an incomplete drain, in words."""
    names = []
    for peer in drain.get('stragglers') or []:
        what = 'backend {0}'.format(peer['pid']) if peer.get('pid') else 'a connection'
        details = [
            '{0} {1}'.format(key, peer[key])
            for key in ('role', 'database', 'application', 'state') if peer.get(key)
        ]
        names.append(' '.join([what, 'of', str(peer.get('client')), ', '.join(details)]).strip())
    if names:
        return '; '.join(names)
    return drain.get('unproven') or 'it could not be proven that nobody is left'


def added(one, other):
    """Two drains of different ports as one."""
    if one is None or other is None:
        return one if other is None else other
    both = {}
    for key in set(one) | set(other):
        both[key] = sum_of(one.get(key), other.get(key), key)
    return both


def sum_of(one, other, key):
    if isinstance(one, dict) and isinstance(other, dict):
        return dict((inner, sum_of(one.get(inner), other.get(inner), inner)) for inner in set(one) | set(other))
    if isinstance(one, list) and isinstance(other, list):
        return one + other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        return one + other
    if key == 'sql':
        # The one that says why.
        return other if one == 'ok' else one
    return one if one is not None else other
