# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# SPDX-License-Identifier: GPL-2.0-or-later

"""Reports as the program prints them."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


def window(port=5432, number=1, **facts):
    values = {
        'id': '06b646037a8a05{0:02x}'.format(number), 'port': port, 'phase': 'closed',
        'started_at': '2026-11-22T08:00:00.000Z', 'ends_at': '2026-11-22T08:10:00.000Z',
        'remaining_s': 590.0, 'verdict': 'drop', 'reason': None, 'by': 'root', 'by_uid': 0,
        'guard_pid': 7, 'healed': 0, 'blocked': {'packets': 1, 'bytes': 60}, 'knocks': [],
        'pass': [], 'ramp': None,
    }
    values.update(facts)
    return values


def report(command, result, windows=(), changed=False, **facts):
    values = {
        'schema': 1, 'command': command, 'changed': changed, 'result': result,
        'windows': list(windows), 'drain': None,
        'timing': {'blocked_ms': None, 'drained_ms': None}, 'warnings': [],
    }
    values.update(facts)
    return values


def drain(found=0, left=0, **facts):
    values = {
        'sql': 'ok',
        'backends': {'found': found, 'ended': found - left, 'left': left},
        'sockets': {'found': found, 'destroyed': 0, 'closing': 0, 'left': 0},
        'signalled': 0, 'spared': [], 'unproven': None,
        'stragglers': [
            {'port': 5432, 'pid': 114 + number, 'role': 'app', 'database': 'shop', 'application': 'report',
             'client': '203.0.113.12:50890', 'state': 'active', 'wait': '', 'since_s': 4.0, 'query': 'SELECT 1'}
            for number in range(left)
        ],
    }
    values.update(facts)
    return values


def failure(command, kind, message, hint):
    return {
        'schema': 1, 'command': command, 'changed': False, 'result': 'failed',
        'error': {'kind': kind, 'message': message, 'hint': hint},
    }


def status(*windows):
    return report('status', 'status', windows)


def started(*windows, **facts):
    values = {'drain': drain(), 'result': 'cordoned', 'changed': True}
    values.update(facts)
    return report('start', windows=windows, **values)


def already(*windows, **facts):
    return report('start', 'already-cordoned', windows, **facts)


def drained(*windows, **facts):
    facts.setdefault('drain', drain())
    return report('drain', 'drained', windows, **facts)
