# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

"""Options of a task as arguments of the program, and windows as a task shows them."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

# The option of the task, and the flag of the program.
DRAIN_VALUES = ('farewell', 'drain_timeout', 'cancel_first')
POSTGRES_VALUES = ('pg_socket_dir', 'pg_user', 'pg_database', 'pg_host', 'pg_passfile')
START_VALUES = ('for', 'max', 'policy', 'verdict', 'ramp', 'ramp_rate', 'reason') + DRAIN_VALUES + POSTGRES_VALUES
START_SWITCHES = (
    'allow_replication', 'cut_standbys', 'strict', 'no_drain', 'no_guard', 'any_listener',
)
START_LISTS = ('allow', 'spare')

# What of a window stays the same while nobody changes it.
LASTING = ('port', 'phase', 'ends_at', 'verdict', 'reason', 'by', 'pass', 'ramp')


def flag(option):
    return '--' + option.replace('_', '-')


def arguments(params, values=(), switches=(), lists=()):
    """Options of the task as arguments of the program.

    A value stands in one argument with its flag, so that one that begins with a hyphen is not
    taken for a flag.
    """
    words = []
    for option in values:
        if params[option] is not None:
            words.append('{0}={1}'.format(flag(option), params[option]))
    for option in switches:
        if params[option]:
            words.append(flag(option))
    for option in lists:
        for entry in params[option] or []:
            words.append('{0}={1}'.format(flag(option), entry))
    return words


def lasting(window):
    return dict((key, window[key]) for key in LASTING if window.get(key) is not None)


def diff(before, after):
    return {
        'before': {'windows': [lasting(window) for window in before]},
        'after': {'windows': [lasting(window) for window in after]},
    }


def port_arguments(ports):
    """The ports of a task as the program wants them."""
    arguments = []
    for port in ports or []:
        arguments += ['--port', str(port)]
    return arguments


def of_ports(windows, ports):
    """The windows on these ports."""
    return [window for window in windows if window.get('port') in ports]
