# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

"""Ending a window."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.pgcordon.maintenance.plugins.module_utils.options import (
    arguments,
    diff,
    of_ports,
    port_arguments,
)


def absent(module, tool, before):
    """A window that is not wanted."""
    params = module.params
    ports, flags = params['ports'], ['--all'] if params['all'] else []
    concerned = before if not ports else of_ports(before, ports)
    if params['ramp']:
        # A ramp under way is what is asked for: lifted again, it would begin anew.
        closed = [window['port'] for window in concerned if window['phase'] == 'closed']
        if len(closed) < len(concerned):
            ports, flags = closed, []
        if not closed:
            module.exit_json(
                changed=False, result='ramping' if concerned else 'not-cordoned', windows=concerned,
                incomplete=False, report=None, calls=tool.calls, diff=diff(concerned, concerned))
    if module.check_mode:
        if len(concerned) > 1 and not ports and not flags:
            # The program says so in a real run.
            module.fail_json(
                msg='There are windows on ports {0}: name one with ports, or end all of them with all=true.'.format(
                    ', '.join(str(window['port']) for window in concerned)), calls=tool.calls)
        after = [dict(window, phase='ramp', ends_at=None) for window in concerned if params['ramp']]
        module.exit_json(
            changed=bool(concerned), result='planned', windows=concerned, incomplete=False,
            report=None, calls=tool.calls, diff=diff(concerned, after))
    words = port_arguments(ports) + flags
    if params['ramp']:
        words.append('--ramp' if params['ramp'] == 'own' else '--ramp={0}'.format(params['ramp']))
        words += arguments(params, ('ramp_rate',))
    answer = tool.call('lift', words)
    ended = [window['port'] for window in answer.windows]
    after = [window for window in concerned if window['port'] not in ended]
    if params['ramp']:
        after += answer.windows
    module.exit_json(
        changed=answer.changed, result=answer.result, windows=answer.windows, incomplete=False,
        report=answer.report, calls=tool.calls, diff=diff(concerned, after))
