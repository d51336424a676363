# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest

from .reports import failure, report, status, window


@pytest.mark.parametrize('check', [False, True])
def test_it_reads_and_changes_nothing(run, program, check):
    peer = {'port': 5432, 'client': '10.0.0.5:40112', 'verdict': 'pass'}
    program.answer(report('status', 'status', [window()], connections=[peer]))
    values = run('window_info', check=check, ports=[5432])
    assert not values['changed'] and not values['failed'] and values['in_force']
    assert values['windows'] == [window()] and values['connections'] == [peer]
    assert program.calls == [['status', '--port', '5432']]


@pytest.mark.parametrize('windows', [[], [window(phase='ramp')]])
def test_neither_nothing_nor_a_ramp_is_in_force(run, program, windows):
    program.answer(status(*windows))
    values = run('window_info')
    assert not values['in_force'] and values['connections'] == []


def test_warnings_of_the_program_are_passed_on(run, program):
    program.answer(dict(status(window()), warnings=['the cordon on port 5432 is damaged: no rule']))
    assert run('window_info')['warned'] == ['pgcordon status: the cordon on port 5432 is damaged: no rule']


def test_a_missing_privilege_is_told(run, program):
    program.answer(failure('status', 'privilege', 'CAP_NET_ADMIN is missing', 'run it as root'), status=77)
    values = run('window_info')
    assert values['failed'] and values['rc'] == 77
    assert values['msg'] == 'A privilege is missing on this host: CAP_NET_ADMIN is missing (run it as root)'
