# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

"""Raising a window, or telling what that would do."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.pgcordon.maintenance.plugins.module_utils.drains import added, left_behind
from ansible_collections.pgcordon.maintenance.plugins.module_utils.options import (
    DRAIN_VALUES,
    POSTGRES_VALUES,
    START_LISTS,
    START_SWITCHES,
    START_VALUES,
    arguments,
    diff,
    of_ports,
    port_arguments,
)
from ansible_collections.pgcordon.maintenance.plugins.module_utils.tool import DONE, INCOMPLETE, NO_WINDOW


class Present(object):
    """A window that is wanted."""

    def __init__(self, module, tool):
        self.module = module
        self.params = module.params
        self.tool = tool
        self.changed = False
        self.facts = {'raised': [], 'windows': [], 'drain': None, 'incomplete': False}

    def start_arguments(self):
        return port_arguments(self.params['ports']) + arguments(
            self.params, START_VALUES, START_SWITCHES, START_LISTS)

    def plan(self, before):
        """What a run would do; it changes nothing."""
        answer = self.tool.call('plan', self.start_arguments())
        planned = answer.report.get('planned')
        if planned is None:
            self.module.fail_json(
                msg='pgcordon plan does not tell which ports are meant: the program is older than this collection. '
                    'Install a newer one.', report=answer.report, calls=self.tool.calls)
        ports = [cordon['port'] for cordon in planned]
        standing = dict((window['port'], window) for window in answer.windows if window['phase'] == 'closed')
        connections = answer.report.get('connections') or []
        cut = [one for one in connections if one.get('verdict') == 'cut']

        after = []
        changed = False
        for cordon in planned:
            window = standing.get(cordon['port'])
            if window is None:
                changed = True
                cordon = dict(cordon, ends_at='{0} s from now'.format(int(cordon['for_s'])), phase='closed')
                after.append(cordon)
            elif self.params['extend'] and window['remaining_s'] < cordon['for_s']:
                changed = True
                after.append(dict(window, ends_at='{0} s from now'.format(int(cordon['for_s']))))
            else:
                after.append(window)
        if not self.params['no_drain'] and any(one.get('port') in standing for one in cut):
            changed = True
        self.module.exit_json(
            changed=changed, result=answer.result, windows=answer.windows, raised=[],
            drain=answer.report.get('drain'), incomplete=False, connections=connections,
            report=answer.report, calls=self.tool.calls,
            diff=diff(of_ports(before, ports), after))

    def run(self, before):
        answer = self.start(before)
        standing = [
            window['port'] for window in answer.windows if window['port'] not in self.facts['raised']
        ]
        last = answer
        if standing and self.params['extend']:
            last = self.extend(standing, last)
        if standing and not self.params['no_drain']:
            last = self.drain(standing, last)
        if self.facts['windows'] and last is not answer:
            self.facts['windows'] = self.now(answer)
        self.finish(before, answer, last)

    def start(self, before):
        answer = self.tool.call('start', self.start_arguments(), accept=(DONE, INCOMPLETE))
        known = [window.get('id') for window in before if window.get('phase') == 'closed']
        if answer.result != 'already-cordoned':
            self.facts['raised'] = [
                window['port'] for window in answer.windows if window.get('id') not in known
            ]
        self.changed = answer.changed
        self.facts['windows'] = answer.windows
        self.facts['drain'] = answer.report.get('drain')
        self.facts['incomplete'] = answer.status == INCOMPLETE
        self.facts['timing'] = answer.report.get('timing')
        return answer

    def extend(self, ports, last):
        words = port_arguments(ports) + arguments(self.params, ('for', 'max'))
        answer = self.tool.call('extend', words, accept=(DONE, NO_WINDOW), facts=self.so_far())
        if answer.status == NO_WINDOW:
            self.gone(answer)
        self.changed = self.changed or answer.changed
        return answer if answer.changed else last

    def drain(self, ports, last):
        words = port_arguments(ports) + arguments(self.params, DRAIN_VALUES + POSTGRES_VALUES)
        answer = self.tool.call('drain', words, accept=(DONE, INCOMPLETE, NO_WINDOW), facts=self.so_far())
        if answer.status == NO_WINDOW:
            self.gone(answer)
        self.changed = self.changed or answer.changed
        self.facts['drain'] = added(self.facts['drain'], answer.report.get('drain'))
        self.facts['incomplete'] = self.facts['incomplete'] or answer.status == INCOMPLETE
        return answer

    def now(self, start):
        """The windows as they are now, on the ports of the task."""
        ports = [window['port'] for window in start.windows]
        return of_ports(self.tool.call('status', facts=self.so_far()).windows, ports)

    def so_far(self):
        return dict(self.facts, changed=self.changed)

    def gone(self, answer):
        self.module.fail_json(
            msg='The window that was in force ended during this task: {0}. Run the task again to raise a new one.'.format(
                (answer.report.get('error') or {}).get('message', 'there is none any more')),
            rc=answer.status, error=answer.report.get('error'), report=answer.report,
            calls=self.tool.calls, **self.so_far())

    def finish(self, before, start, last):
        ports = [window['port'] for window in start.windows]
        result = last.result
        if last is not start and not self.facts['incomplete'] and self.facts['raised']:
            # Some ports were raised, others were in a window before.
            result = start.result
        elif last.result == 'drained' and not last.changed:
            result = start.result
        elif self.facts['incomplete']:
            result = 'incomplete'
        values = dict(
            self.facts, changed=self.changed, result=result, report=last.report,
            calls=self.tool.calls, diff=diff(of_ports(before, ports), self.facts['windows']))
        if self.facts['incomplete']:
            left = left_behind(self.facts['drain'] or {})
            if not self.params['allow_incomplete']:
                self.module.fail_json(
                    rc=INCOMPLETE,
                    msg='The cordon is in force on port {0}, but the drain is incomplete: {1}. '
                        'Run the task again to drain again, give it more time with drain_timeout, '
                        'or go on with allow_incomplete.'.format(', '.join(str(port) for port in ports), left),
                    **values)
            self.module.warn('the drain is incomplete: {0}'.format(left))
        self.module.exit_json(**values)
