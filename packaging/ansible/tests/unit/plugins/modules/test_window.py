# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest
from ansible_collections.pgcordon.maintenance.plugins.modules import window as module

from .reports import already, drain, drained, failure, report, started, status, window

# Each option of a start, what a task may give, and what the program gets.
START_OPTIONS = [
    ('for', '10m', ['--for=10m']),
    ('max', '48h', ['--max=48h']),
    ('policy', 'gentle', ['--policy=gentle']),
    ('ports', [5432, 5433], ['--port', '5432', '--port', '5433']),
    ('allow', ['10.0.0.5', 'interface:eth1', '@/etc/networks'],
     ['--allow=10.0.0.5', '--allow=interface:eth1', '--allow=@/etc/networks']),
    ('allow_replication', True, ['--allow-replication']),
    ('cut_standbys', True, ['--cut-standbys']),
    ('spare', ['role=backup', 'application=pg dump'], ['--spare=role=backup', '--spare=application=pg dump']),
    ('verdict', 'reset', ['--verdict=reset']),
    ('ramp', '30s', ['--ramp=30s']),
    ('ramp_rate', '20/s', ['--ramp-rate=20/s']),
    ('reason', u'Gr\u00f6\u00dfe; $(reboot) `id` --for', [u'--reason=Gr\u00f6\u00dfe; $(reboot) `id` --for']),
    ('farewell', '0s', ['--farewell=0s']),
    ('drain_timeout', '30s', ['--drain-timeout=30s']),
    ('cancel_first', '5s', ['--cancel-first=5s']),
    ('strict', True, ['--strict']),
    ('no_drain', True, ['--no-drain']),
    ('no_guard', True, ['--no-guard']),
    ('any_listener', True, ['--any-listener']),
    ('pg_socket_dir', '/run/postgresql', ['--pg-socket-dir=/run/postgresql']),
    ('pg_user', 'postgres', ['--pg-user=postgres']),
    ('pg_database', 'postgres', ['--pg-database=postgres']),
    ('pg_host', '127.0.0.1', ['--pg-host=127.0.0.1']),
    ('pg_passfile', '/root/.pgpass', ['--pg-passfile=/root/.pgpass']),
]
# Those that are no flags of a start.
OWN_OPTIONS = {'state', 'all', 'extend', 'allow_incomplete', 'executable'}


def test_every_option_is_in_the_table():
    assert set(module.argument_spec()) == OWN_OPTIONS | set(option for option, value, flags in START_OPTIONS)


@pytest.mark.parametrize('check', [False, True])
@pytest.mark.parametrize('option, value, flags', START_OPTIONS, ids=[row[0] for row in START_OPTIONS])
def test_each_option_reaches_the_program_in_one_argument(run, program, option, value, flags, check):
    program.answer(status())
    program.answer(report('plan', 'planned', planned=[], connections=[]) if check else started(window()))
    options = {option: value}
    if option == 'pg_host':
        options['pg_passfile'] = '/root/.pgpass'
        flags = flags + ['--pg-passfile=/root/.pgpass']
    assert not run('window', check=check, **options)['failed']
    assert program.calls[1] == ['plan' if check else 'start'] + flags


def test_the_first_run_raises_a_window(run, program):
    program.answer(status())
    program.answer(started(window(), timing={'blocked_ms': 2.1, 'drained_ms': 8.0}))
    values = run('window', length='10m')
    assert values['changed'] and not values['failed']
    assert values['result'] == 'cordoned'
    assert values['raised'] == [5432]
    assert values['windows'] == [window()]
    assert values['timing']['blocked_ms'] == 2.1
    # Ansible takes a task with another status than 0 for failed.
    assert 'rc' not in values
    assert values['calls'] == ['status --output json', 'start --for=10m --output json']
    assert values['diff']['before'] == {'windows': []}
    assert values['diff']['after']['windows'][0]['ends_at'] == '2026-11-22T08:10:00.000Z'


def test_the_locale_of_the_target_plays_no_part(run, program, monkeypatch):
    monkeypatch.setenv('LC_ALL', 'de_DE.ISO-8859-1')
    program.answer(status(window(reason=u'Gr\u00f6\u00dfe')))
    values = run('window_info')
    assert values['windows'][0]['reason'] == u'Gr\u00f6\u00dfe'
    assert 'LC_ALL=C\n' in program.read('environment-1')


def test_a_second_run_proves_that_nobody_is_left_and_changes_nothing(run, program):
    program.answer(status(window()))
    program.answer(already(window(remaining_s=580.0), warnings=['the window ends in 9m 40s, before what was asked']))
    program.answer(drained(window(remaining_s=579.0)))
    program.answer(status(window(remaining_s=578.0)))
    values = run('window', length='10m')
    assert not values['changed'] and not values['failed']
    assert values['result'] == 'already-cordoned'
    assert values['raised'] == [] and not values['incomplete']
    assert program.calls[2] == ['drain', '--port', '5432']
    assert values['diff']['before'] == values['diff']['after']
    assert values['warned'] == ['pgcordon start: the window ends in 9m 40s, before what was asked']


def test_a_second_run_without_drain_drains_nobody(run, program):
    program.answer(status(window()))
    program.answer(already(window()))
    values = run('window', length='10m', no_drain=True)
    assert not values['changed'] and not values['failed']
    assert len(program.calls) == 2


def test_an_incomplete_drain_fails_and_says_that_the_cordon_is_in_force(run, program):
    program.answer(status())
    program.answer(started(window(), result='incomplete', drain=drain(2, left=1)), status=3)
    values = run('window', length='10m')
    assert values['failed'] and values['changed']
    assert values['rc'] == 3 and values['incomplete'] and values['result'] == 'incomplete'
    assert values['raised'] == [5432] and values['windows']
    assert 'The cordon is in force on port 5432' in values['msg']
    assert 'backend 114 of 203.0.113.12:50890 role app, database shop' in values['msg']
    assert 'allow_incomplete' in values['msg']


def test_an_incomplete_drain_is_a_warning_where_it_is_allowed(run, program):
    program.answer(status())
    program.answer(started(window(), result='incomplete', drain=drain(0, unproven='SQL was refused')), status=3)
    values = run('window', length='10m', allow_incomplete=True)
    assert not values['failed'] and values['changed'] and values['incomplete']
    assert 'rc' not in values
    assert values['warned'] == ['the drain is incomplete: SQL was refused']


def test_a_retry_after_an_incomplete_drain_drains_again(run, program):
    pace = {'drain_timeout': '30s', 'farewell': '1s', 'cancel_first': '2s', 'pg_user': 'postgres'}
    program.answer(status(window()))
    program.answer(already(window()))
    program.answer(drained(window(), changed=True, drain=drain(1)))
    program.answer(status(window()))
    values = run('window', length='10m', **pace)
    assert values['changed'] and not values['failed']
    assert values['result'] == 'drained'
    assert program.calls[2] == [
        'drain', '--port', '5432', '--farewell=1s', '--drain-timeout=30s', '--cancel-first=2s', '--pg-user=postgres']
    assert values['drain']['backends']['ended'] == 1


def test_a_retry_that_is_incomplete_too_fails_again(run, program):
    program.answer(status(window()))
    program.answer(already(window()))
    program.answer(report('drain', 'incomplete', [window()], drain=drain(1, left=1)), status=3)
    program.answer(status(window()))
    values = run('window', length='10m')
    assert values['failed'] and not values['changed'] and values['rc'] == 3
    assert values['raised'] == [] and values['result'] == 'incomplete'


def test_one_port_is_raised_while_another_is_in_a_window(run, program):
    old, new = window(5432), window(5433, number=2)
    program.answer(status(old))
    program.answer(started(old, new, drain=drain(3)))
    program.answer(drained(old, changed=True, drain=drain(2, sql='SQL was refused')))
    program.answer(status(old, new))
    values = run('window', length='10m', ports=[5432, 5433])
    assert values['changed'] and values['raised'] == [5433]
    assert program.calls[2] == ['drain', '--port', '5432']
    assert values['result'] == 'cordoned'
    assert values['drain']['backends']['found'] == 5
    assert values['drain']['sql'] == 'SQL was refused'
    assert len(values['windows']) == 2


def test_extend_leaves_at_least_so_long(run, program):
    program.answer(status(window()))
    program.answer(already(window(remaining_s=100.0)))
    later = window(remaining_s=600.0, ends_at='2026-11-22T08:18:20.000Z')
    program.answer(report('extend', 'extended', [later], changed=True))
    program.answer(drained(later))
    program.answer(status(later))
    values = run('window', length='10m', max='48h', extend=True)
    assert values['changed'] and not values['failed']
    assert program.calls[2] == ['extend', '--port', '5432', '--for=10m', '--max=48h']
    assert values['windows'][0]['ends_at'] == '2026-11-22T08:18:20.000Z'
    assert values['diff']['before'] != values['diff']['after']


def test_a_fresh_window_is_not_extended(run, program):
    program.answer(status())
    program.answer(started(window()))
    assert run('window', length='10m', extend=True)['changed']
    assert len(program.calls) == 2


@pytest.mark.parametrize('command', ['drain', 'extend'])
def test_a_window_that_ends_meanwhile_is_no_success(run, program, command):
    program.answer(status(window()))
    program.answer(already(window(remaining_s=0.1)))
    program.answer(failure(command, 'no-window', 'port 5432 is not in a window', 'see pgcordon status'), status=4)
    values = run('window', length='10m', extend=command == 'extend')
    assert values['failed'] and values['rc'] == 4
    assert 'ended during this task' in values['msg']


@pytest.mark.parametrize('code, kind, begins', [
    (1, 'window-differs', 'pgcordon start failed: the message (the hint)'),
    (2, 'usage', 'pgcordon refused the request: the message (the hint)'),
    (77, 'privilege', 'A privilege is missing on this host: the message (the hint)'),
    (130, 'interrupted', 'pgcordon start was interrupted: the message (the hint)'),
    (143, 'interrupted', 'pgcordon start was interrupted: the message (the hint)'),
])
def test_a_failure_tells_what_the_program_said(run, program, code, kind, begins):
    program.answer(status())
    program.answer(failure('start', kind, 'the message', 'the hint'), status=code)
    values = run('window', length='10m')
    assert values['failed'] and not values['changed']
    assert values['msg'] == begins and values['rc'] == code
    assert values['error'] == {'kind': kind, 'message': 'the message', 'hint': 'the hint'}


def test_what_was_raised_before_a_failure_is_told(run, program):
    old, new = window(5432), window(5433, number=2)
    program.answer(status(old))
    program.answer(started(old, new))
    program.answer(failure('drain', 'locked', 'another call holds the lock', 'wait for it'), status=1)
    values = run('window', length='10m', ports=[5432, 5433])
    assert values['failed'] and values['changed'] and values['raised'] == [5433]


@pytest.mark.parametrize('out, err, words', [
    ('', 'Segmentation fault', 'Segmentation fault'),
    ('not json', '', 'not json'),
    ('[1]', '', '[1]'),
    ('', '', 'ended with status 1 and said nothing'),
])
def test_a_program_that_prints_no_report_fails_with_its_last_words(run, program, out, err, words):
    program.answer(status())
    program.answer(out, status=1, err=err)
    values = run('window', length='10m')
    assert values['failed'] and values['report'] is None
    assert words in values['msg']


def test_another_schema_is_refused_before_anything_is_changed(run, program):
    program.answer(dict(status(), schema=2))
    values = run('window', length='10m')
    assert values['failed'] and 'version 2' in values['msg']
    assert len(program.calls) == 1


def test_a_missing_program_is_named_with_the_remedy(run):
    values = run('window', length='10m', executable='pgcordon-that-is-not-there')
    assert values['failed']
    assert 'pgcordon-that-is-not-there' in values['msg'] and 'install' in values['msg']


@pytest.mark.parametrize('options, words', [
    ({'strict': True, 'allow_incomplete': True}, 'give one of them'),
    ({'all': True}, 'state=absent'),
    ({'all': True, 'state': 'absent', 'ports': [5432]}, 'without ports'),
    ({'pg_host': '127.0.0.1'}, 'pg_passfile'),
    ({'extend': True}, 'for'),
    ({'ports': ['postgres']}, 'ports'),
    # It must not end the only window there is.
    ({'ports': [], 'state': 'absent'}, 'empty'),
    ({'verdict': 'maybe'}, 'maybe'),
])
def test_options_that_contradict_are_refused_before_any_call(run, program, options, words):
    values = run('window', **options)
    assert values['failed'] and words in values['msg']
    assert program.calls == []


def planned(port=5432, for_s=600.0):
    return {'port': port, 'for_s': for_s, 'verdict': 'drop', 'reason': None, 'pass': []}


def peer(port=5432, verdict='cut'):
    return {'port': port, 'pid': 145, 'client': '203.0.113.11:55532', 'verdict': verdict, 'why': 'it is remote'}


@pytest.mark.parametrize('standing, connections, options, changed', [
    # Nothing is in force.
    ([], [], {}, True),
    ([], [peer()], {}, True),
    # The window is in force and nobody is left.
    ([window()], [], {}, False),
    ([window()], [peer(verdict='pass'), peer(verdict='local'), peer(verdict='spared')], {}, False),
    # Somebody is left whom a run would cut, or not.
    ([window()], [peer()], {}, True),
    ([window()], [peer()], {'no_drain': True}, False),
    ([window(5433, number=2)], [peer(5433)], {}, True),
    # The end would be moved, or not.
    ([window(remaining_s=100.0)], [], {'extend': True}, True),
    ([window(remaining_s=700.0)], [], {'extend': True}, False),
    # A ramp is no window.
    ([window(phase='ramp')], [], {}, True),
])
def test_check_mode_foretells_what_a_run_would_change(run, program, standing, connections, options, changed):
    program.answer(status(*standing))
    program.answer(report('plan', 'planned', standing, planned=[planned()], connections=connections, drain=drain()))
    values = run('window', check=True, length='10m', **options)
    assert not values['failed'] and values['changed'] == changed
    assert values['result'] == 'planned' and values['raised'] == []
    assert values['connections'] == connections
    assert [call[0] for call in program.calls] == ['status', 'plan']
    if not any(one['phase'] == 'closed' and one['port'] == 5432 for one in standing):
        assert values['diff']['after']['windows'][0]['ends_at'] == '600 s from now'


def test_check_mode_refuses_what_a_run_would_refuse(run, program):
    program.answer(status())
    program.answer(failure('plan', 'not-postgresql', 'port 22 is held by sshd', 'check --port'), status=2)
    values = run('window', check=True, length='10m', ports=[22])
    assert values['failed'] and values['rc'] == 2 and 'sshd' in values['msg']


def test_check_mode_needs_a_program_that_tells_the_ports(run, program):
    program.answer(status())
    program.answer(report('plan', 'planned', connections=[]))
    values = run('window', check=True, length='10m')
    assert values['failed'] and 'older' in values['msg']


def test_absent_lifts_and_a_second_run_changes_nothing(run, program):
    program.answer(status(window(), window(5433, number=2)))
    program.answer(report('lift', 'lifted', [window()], changed=True))
    values = run('window', state='absent', ports=[5432])
    assert values['changed'] and values['result'] == 'lifted'
    assert program.calls[1] == ['lift', '--port', '5432']
    assert len(values['diff']['before']['windows']) == 1 and values['diff']['after']['windows'] == []

    program.answer(status())
    program.answer(report('lift', 'not-cordoned'))
    values = run('window', state='absent', ports=[5432])
    assert not values['changed'] and not values['failed'] and values['result'] == 'not-cordoned'
    assert values['diff']['before'] == values['diff']['after']


def test_absent_takes_no_option_of_a_start(run, program):
    program.answer(status(window()))
    program.answer(report('lift', 'lifted', [window()], changed=True))
    run('window', state='absent', length='10m', policy='gentle', reason='x', strict=True, allow=['10.0.0.5'])
    assert program.calls[1] == ['lift']


def test_absent_can_end_every_window(run, program):
    program.answer(status(window(), window(5433, number=2)))
    program.answer(report('lift', 'lifted', [window(), window(5433, number=2)], changed=True))
    values = run('window', state='absent', all=True)
    assert program.calls[1] == ['lift', '--all']
    assert len(values['diff']['before']['windows']) == 2


@pytest.mark.parametrize('asked, flags', [
    ({'ramp': '30s', 'ramp_rate': '20/s'}, ['--ramp=30s', '--ramp-rate=20/s']),
    ({'ramp': 'own'}, ['--ramp']),
])
def test_absent_with_a_ramp_does_not_begin_it_anew(run, program, asked, flags):
    ramp = window(phase='ramp', ramp={'for_s': 30.0, 'per_s': 10})
    program.answer(status(window()))
    program.answer(report('lift', 'ramping', [ramp], changed=True))
    values = run('window', state='absent', **asked)
    assert values['changed'] and values['result'] == 'ramping'
    assert program.calls[1] == ['lift'] + flags
    assert values['diff']['before']['windows'][0]['phase'] == 'closed'
    assert values['diff']['after']['windows'][0]['phase'] == 'ramp'

    program.answer(status(ramp))
    values = run('window', state='absent', **asked)
    assert not values['changed'] and values['result'] == 'ramping'
    assert values['diff']['before'] == values['diff']['after']
    assert len(program.calls) == 3


def test_absent_with_a_ramp_lifts_only_what_is_closed(run, program):
    ramp, closed = window(5432, phase='ramp'), window(5433, number=2)
    program.answer(status(ramp, closed))
    program.answer(report('lift', 'ramping', [window(5433, number=2, phase='ramp')], changed=True))
    values = run('window', state='absent', all=True, ramp='30s')
    assert values['changed']
    assert program.calls[1] == ['lift', '--port', '5433', '--ramp=30s']
    assert len(values['diff']['after']['windows']) == 2


def test_absent_with_a_ramp_finds_nothing_to_lift(run, program):
    program.answer(status())
    values = run('window', state='absent', ramp='30s')
    assert not values['changed'] and values['result'] == 'not-cordoned'


def test_absent_without_a_ramp_ends_one_under_way(run, program):
    program.answer(status(window(phase='ramp')))
    program.answer(report('lift', 'lifted', [window(phase='ramp')], changed=True))
    values = run('window', state='absent')
    assert values['changed'] and program.calls[1] == ['lift']


@pytest.mark.parametrize('standing, changed', [([], False), ([window()], True), ([window(5433)], False)])
def test_absent_in_check_mode_lifts_nothing(run, program, standing, changed):
    program.answer(status(*standing))
    values = run('window', check=True, state='absent', ports=[5432])
    assert values['changed'] == changed and values['result'] == 'planned'
    assert program.calls == [['status']]


def test_absent_in_check_mode_does_not_choose_between_windows(run, program):
    program.answer(status(window(), window(5433, number=2)))
    values = run('window', check=True, state='absent')
    assert values['failed'] and '5432, 5433' in values['msg']
