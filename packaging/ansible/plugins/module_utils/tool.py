# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

"""Calling pgcordon, and what its exit statuses and its JSON mean for a module."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json

# The version of pgcordon's JSON that this collection reads. Within a version fields are
# added, never renamed.
SCHEMA = 1

# The exit statuses of the program.
DONE = 0
FAILED = 1
USAGE = 2
INCOMPLETE = 3
NO_WINDOW = 4
PRIVILEGE = 77
INTERRUPTED = (130, 143)

# What a status says before the program's own words; 1 needs nothing in front.
PREFACES = {
    USAGE: 'pgcordon refused the request: ',
    NO_WINDOW: 'There is no such window: ',
    PRIVILEGE: 'A privilege is missing on this host: ',
}

NOT_FOUND = (
    'The program {name} is not on this host. Install it, for example with the role '
    'pgcordon.maintenance.install, or name its path with executable.'
)


class Answer(object):
    """What one call of pgcordon has said."""

    def __init__(self, command, status, report):
        self.command = command
        self.status = status
        self.report = report

    @property
    def changed(self):
        return bool(self.report.get('changed'))

    @property
    def result(self):
        return self.report.get('result')

    @property
    def windows(self):
        return self.report.get('windows') or []


class Tool(object):
    """The program on the target host."""

    def __init__(self, module):
        self.module = module
        self.calls = []
        name = module.params['executable']
        # This one looks into the folders of system programs too.
        self.path = module.get_bin_path(name)
        if self.path is None:
            module.fail_json(msg=NOT_FOUND.format(name=name))

    def call(self, command, arguments=(), accept=(DONE,), facts=None):
        """Runs a command, and returns its answer if its status is one of those accepted.

        Any other status fails the module with what the program said; facts are the return
        values that belong to the failure then.
        """
        argv = [self.path, command] + list(arguments) + ['--output', 'json']
        self.calls.append(' '.join(argv[1:]))
        status, out, err = self.module.run_command(
            argv,
            # Messages must not depend on the user's locale or terminal.
            environ_update={'LANG': 'C', 'LC_ALL': 'C', 'NO_COLOR': '1'},
        )
        report = self._read(out)
        if report is None:
            self._fail(command, status, {'message': self._last_words(err, out, status)}, facts)
        if report.get('schema') != SCHEMA:
            self._fail(command, status, {
                'kind': 'schema',
                'message': "the program's output has version {0}, this collection reads version {1}".format(
                    report.get('schema'), SCHEMA),
                'hint': 'install versions of the program and of the collection that belong together',
            }, facts, report)
        if status not in accept:
            error = report.get('error') or {'message': self._last_words(err, out, status)}
            self._fail(command, status, error, facts, report)
        for warning in report.get('warnings') or []:
            self.module.warn('pgcordon {0}: {1}'.format(command, warning))
        return Answer(command, status, report)

    @staticmethod
    def _read(out):
        try:
            report = json.loads(out)
        except ValueError:
            return None
        return report if isinstance(report, dict) else None

    @staticmethod
    def _last_words(err, out, status):
        words = err.strip() or out.strip()
        if words:
            return words[-2000:]
        if status < 0:
            return 'it was killed by signal {0}; the kernel ends what is in force in its time'.format(-status)
        return 'it ended with status {0} and said nothing'.format(status)

    def _fail(self, command, status, error, facts, report=None):
        message = error.get('message') or 'it gave no reason'
        if status in INTERRUPTED:
            preface = 'pgcordon {0} was interrupted: '.format(command)
        else:
            preface = PREFACES.get(status, 'pgcordon {0} failed: '.format(command))
        text = preface + message
        if error.get('hint'):
            text = '{0} ({1})'.format(text, error['hint'])
        values = {'changed': False, 'calls': self.calls}
        values.update(facts or {})
        self.module.fail_json(msg=text, rc=status, error=error, report=report, **values)
