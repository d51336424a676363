# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# SPDX-License-Identifier: GPL-2.0-or-later

"""Runs a module in this process, with a program that gives the answers of a script."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import importlib
import json
import os

import pytest
from ansible.module_utils import basic

MODULES = 'ansible_collections.pgcordon.maintenance.plugins.modules.'

# Writes its arguments down and gives the next answer: a status, stdout and stderr.
PROGRAM = u'''#!/bin/sh
cd '{folder}' || exit 99
number=$(($(cat number) + 1))
echo "$number" >number
for argument; do printf '%s\\0' "$argument"; done >"arguments-$number"
env >"environment-$number"
[ -e "out-$number" ] || {{ echo "no answer for call $number: $*" >&2; exit 99; }}
cat "out-$number"
cat "err-$number" >&2
exit "$(cat "status-$number")"
'''


class Ended(Exception):
    """The module has ended, with these values."""

    def __init__(self, values):
        super(Ended, self).__init__(values)
        self.values = values


class Program(object):
    """The program as the modules see it."""

    def __init__(self, folder):
        self.folder = folder
        self.answers = 0
        self.path = os.path.join(folder, 'pgcordon')
        self.write('number', u'0')
        self.write('pgcordon', PROGRAM.format(folder=folder))
        os.chmod(self.path, 0o755)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'wb') as file:
            file.write(text.encode('utf-8'))

    def read(self, name):
        with open(os.path.join(self.folder, name), 'rb') as file:
            return file.read().decode('utf-8')

    def answer(self, out, status=0, err=u''):
        """Adds the answer to the next call: a report or any text."""
        self.answers += 1
        text = out if isinstance(out, str) else json.dumps(out)
        self.write('out-{0}'.format(self.answers), text)
        self.write('err-{0}'.format(self.answers), err)
        self.write('status-{0}'.format(self.answers), str(status))

    @property
    def calls(self):
        """The arguments of each call, without the flags that every call has."""
        calls = []
        for number in range(1, int(self.read('number')) + 1):
            call = self.read('arguments-{0}'.format(number)).split(u'\0')[:-1]
            assert call[-2:] == ['--output', 'json'], call
            calls.append(call[:-2])
        return calls


@pytest.fixture
def program(tmp_path):
    return Program(str(tmp_path))


@pytest.fixture
def run(monkeypatch, program):
    """Runs a module with options, and returns what it has returned."""

    def end(module, **values):
        raise Ended(dict({'failed': False}, **values))

    def fail(module, msg, **values):
        raise Ended(dict({'failed': True, 'msg': msg}, **values))

    warnings = []
    monkeypatch.setattr(basic.AnsibleModule, 'exit_json', end)
    monkeypatch.setattr(basic.AnsibleModule, 'fail_json', fail)
    monkeypatch.setattr(basic.AnsibleModule, 'warn', lambda module, text: warnings.append(text))
    # From ansible-core 2.19 on the arguments have a profile.
    monkeypatch.setattr(basic, '_ANSIBLE_PROFILE', 'legacy', raising=False)

    def run_module(name, check=False, **options):
        options.setdefault('executable', program.path)
        # The option is a word of Python.
        if 'length' in options:
            options['for'] = options.pop('length')
        options['_ansible_check_mode'] = check
        arguments = json.dumps({'ANSIBLE_MODULE_ARGS': options}).encode('utf-8')
        monkeypatch.setattr(basic, '_ANSIBLE_ARGS', arguments)
        del warnings[:]
        with pytest.raises(Ended) as ended:
            importlib.import_module(MODULES + name).main()
        values = dict(ended.value.values)
        values['warned'] = list(warnings)
        # What a module returns has to be JSON.
        return json.loads(json.dumps(values))

    return run_module
