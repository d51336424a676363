#!/usr/bin/python
# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
---
module: window
short_description: Keep every remote client off PostgreSQL for a stated time
version_added: 0.1.0
author:
  - The pgcordon maintainers (@pgcordon)
description:
  - Raises a window on a PostgreSQL host, or ends it. In the window the kernel drops the packets
    of remote clients to PostgreSQL's port, those that are connected are cut, and local clients
    go on working. PostgreSQL is neither stopped nor configured.
  - The kernel of the target host ends the window by itself when its time is over. A control
    host that dies, or loses its connection, cannot leave a port blocked.
  - A task that is run again while its window is in force leaves the window's end where it is.
    Set I(extend=true) to have at least I(for) left after each run.
  - A task that is run again also drains again. Where nobody remote is left this changes
    nothing and proves it anew; where a drain was incomplete before, it is the retry.
  - The task fails when the drain is incomplete, unless I(allow_incomplete=true). The cordon is
    in force all the same then, which the return values tell.
extends_documentation_fragment:
  - pgcordon.maintenance.tool
options:
  state:
    description:
      - C(present) raises a window where none is in force.
      - C(absent) ends it now. That there is none is no failure.
    type: str
    choices: [present, absent]
    default: present
  for:
    description:
      - How long the window lasts, with its unit, such as C(90s), C(10m) or C(1h30m).
      - Needed with I(state=present) unless a policy states it.
    type: str
  max:
    description:
      - Permit a window longer than 24 hours, up to this.
    type: str
  policy:
    description:
      - Name of a policy on the target host, the path of one (with a slash in it), or C(none) to
        go without the host's default policy. Options of the task win over the policy.
      - Policies are not read with I(state=absent). Name the ports there.
    type: str
  ports:
    description:
      - TCP ports of PostgreSQL. They replace those of the policy.
      - Without it, those of the policy, else port 5432. With I(state=absent) without it, the
        only window there is.
    type: list
    elements: int
    aliases: [port]
  all:
    description:
      - With I(state=absent), end every window of the host.
    type: bool
    default: false
  allow:
    description:
      - Who is let through and not cut. Each is an address, a network, C(interface:NAME) for the
        networks connected to an interface, or C(@FILE) for a file on the target host with one
        of them a line. They add to those of the policy.
    type: list
    elements: str
  allow_replication:
    description:
      - Let standbys that are connected stay and come back.
    type: bool
    default: false
  cut_standbys:
    description:
      - Cut synchronous standbys too, although local commits will wait for them then.
    type: bool
    default: false
  spare:
    description:
      - Existing connections that stay, while new ones like them are blocked. Each is
        C(role=R), C(database=D) or C(application=A). They add to those of the policy.
    type: list
    elements: str
  verdict:
    description:
      - What remote packets meet. C(drop) is silence, C(reset) a TCP reset.
    type: str
    choices: [drop, reset]
  ramp:
    description:
      - For so long after the window, new connections are let in at a limited rate.
      - With I(state=absent), the window ends now and the ramp begins. C(own) is the ramp that
        the window was raised with. A ramp under way goes on as it is; without this option it
        ends too.
    type: str
  ramp_rate:
    description:
      - The rate of the ramp, such as C(10/s).
    type: str
  reason:
    description:
      - Why, for those who look. At most 100 printable ASCII characters, no quotation mark.
    type: str
  farewell:
    description:
      - How long PostgreSQL's last message and the TCP close may take. C(0s) cuts at once.
    type: str
  drain_timeout:
    description:
      - How long to wait until nobody remote is left.
    type: str
  cancel_first:
    description:
      - Cancel running statements first, and give them so long to end.
    type: str
  strict:
    description:
      - Lift the cordon again if the drain is incomplete. The task fails then, and nothing of it
        is in force. A window that was in force before the task is left in force.
    type: bool
    default: false
  no_drain:
    description:
      - Leave existing connections alone and block only new ones.
    type: bool
    default: false
  no_guard:
    description:
      - Leave no guard behind. The kernel's timer alone ends the window.
    type: bool
    default: false
  any_listener:
    description:
      - Cordon a port whose listener is not PostgreSQL. Its connections are cut by their sockets.
    type: bool
    default: false
  pg_socket_dir:
    description:
      - Directory of PostgreSQL's Unix socket, where it has several.
    type: path
  pg_user:
    description:
      - Role to log in as, instead of the one named as the socket's owner.
    type: str
  pg_database:
    description:
      - Database to log in to, instead of C(postgres).
    type: str
  pg_host:
    description:
      - Use TCP to this address of the target host instead of the Unix socket. Needs
        I(pg_passfile).
    type: str
  pg_passfile:
    description:
      - Password file on the target host in the format of C(.pgpass), owned by root with mode
        0600.
    type: path
  extend:
    description:
      - If a window is in force with less than I(for) left, move its end so that I(for) is left.
      - Each run of such a task changes something, since time has gone by.
    type: bool
    default: false
  allow_incomplete:
    description:
      - Do not fail when the drain is incomplete. A warning names who is left.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and predict what would be changed, through C(pgcordon plan).
    support: full
  diff_mode:
    description: Returns the windows on the ports before and after.
    support: full
  platform:
    description: Target systems.
    support: full
    platforms: linux
seealso:
  - module: pgcordon.maintenance.window_info
'''

EXAMPLES = r'''
- name: Keep remote clients out for ten minutes at most
  pgcordon.maintenance.window:
    for: 10m
    reason: reindex orders
  become: true

- name: Let the backup and the office go on, and reopen slowly
  pgcordon.maintenance.window:
    for: 1h30m
    allow:
      - 10.20.0.0/16
      - interface:eth1
    spare:
      - application=pg_dump
    ramp: 60s
    ramp_rate: 20/s
  become: true

- name: Use the team's policy, and go on with a straggler
  pgcordon.maintenance.window:
    policy: gentle
    for: 30m
    allow_incomplete: true
  become: true
  register: cordon

- name: Say who is still there
  ansible.builtin.debug:
    msg: "{{ cordon.drain.stragglers | default([], true) }}"
  when: cordon.incomplete

- name: Try again until nobody remote is left
  pgcordon.maintenance.window:
    for: 30m
    drain_timeout: 20s
  become: true
  register: cordon
  retries: 3
  delay: 5
  until: cordon is success

- name: Give the port back
  pgcordon.maintenance.window:
    state: absent
  become: true
'''

RETURN = r'''
result:
  description:
    - The program's word for what came of it, such as C(cordoned), C(already-cordoned),
      C(drained), C(incomplete), C(lifted), C(ramping) or C(not-cordoned); C(planned) in check
      mode.
  returned: success, and failure once a window was raised
  type: str
  sample: cordoned
windows:
  description:
    - The windows on the ports after the task; with I(state=absent) those that were ended, or
      whose ramp has begun. Times are UTC.
  returned: success, and failure once a window was raised
  type: list
  elements: dict
  sample:
    - id: 06b646037a8a058a
      port: 5432
      phase: closed
      started_at: "2026-11-22T08:00:00.000Z"
      ends_at: "2026-11-22T08:10:00.000Z"
      remaining_s: 599.98
      verdict: drop
      reason: reindex orders
      by: alice
      by_uid: 1000
      guard_pid: 4711
      healed: 0
      blocked: {packets: 10, bytes: 584}
      knocks: [{address: 203.0.113.7, packets: 10}]
      pass: [10.0.0.5/32]
      ramp: {for_s: 30.0, per_s: 10}
raised:
  description:
    - The ports on which this task has raised a window. Those that were in a window before are
      not among them.
  returned: with state=present
  type: list
  elements: int
  sample: [5432]
incomplete:
  description:
    - Whether remote connections are left, or it could not be proven that none is.
  returned: success, and failure once a window was raised
  type: bool
  sample: false
drain:
  description:
    - What was drained, added up over the calls of this task; null where nothing was. In check
      mode, what was found.
  returned: with state=present
  type: dict
  sample:
    sql: ok
    backends: {found: 250, ended: 250, left: 0}
    sockets: {found: 255, destroyed: 5, closing: 0, left: 0}
    signalled: 0
    spared: []
    stragglers: []
    unproven: null
connections:
  description:
    - Everybody who is connected, and what would happen to each.
  returned: in check mode with state=present
  type: list
  elements: dict
  sample:
    - port: 5432
      pid: 145
      role: billing
      database: postgres
      application: billing-api
      client: 203.0.113.11:55532
      state: idle
      wait: Client/ClientRead
      since_s: 0.4
      query: SELECT 1
      verdict: cut
      why: it is remote
timing:
  description:
    - How long it took until the port was blocked, and from there until nobody remote was left.
  returned: with state=present, but in check mode
  type: dict
  sample: {blocked_ms: 2.1, drained_ms: 180.0}
report:
  description:
    - The program's JSON, whole, of the last call; null if it printed none.
  returned: always but when the program is missing
  type: dict
  sample: {schema: 1, command: start, changed: true, result: cordoned, windows: [], drain: null, warnings: []}
calls:
  description:
    - The calls of the program, in their order.
  returned: always but when the program is missing
  type: list
  elements: str
  sample: [status --output json, start --for 10m --output json]
rc:
  description:
    - The program's exit status.
  returned: when it failed, or left the drain incomplete
  type: int
  sample: 3
error:
  description:
    - Why the program failed.
  returned: when it failed
  type: dict
  sample: {kind: window-differs, message: "port 5432 is in a window with the verdict drop instead of reset", hint: "lift it first: pgcordon lift"}
'''

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pgcordon.maintenance.plugins.module_utils.absent import absent
from ansible_collections.pgcordon.maintenance.plugins.module_utils.options import (
    START_LISTS,
    START_SWITCHES,
    START_VALUES,
)
from ansible_collections.pgcordon.maintenance.plugins.module_utils.present import Present
from ansible_collections.pgcordon.maintenance.plugins.module_utils.tool import Tool


def argument_spec():
    spec = {
        'state': {'type': 'str', 'choices': ['present', 'absent'], 'default': 'present'},
        'ports': {'type': 'list', 'elements': 'int', 'aliases': ['port']},
        'verdict': {'type': 'str', 'choices': ['drop', 'reset']},
        'executable': {'type': 'str', 'default': 'pgcordon'},
        'pg_socket_dir': {'type': 'path'},
        # The path of a file, no secret.
        'pg_passfile': {'type': 'path', 'no_log': False},
    }
    for option in START_LISTS:
        spec[option] = {'type': 'list', 'elements': 'str'}
    for option in START_SWITCHES + ('all', 'extend', 'allow_incomplete'):
        spec[option] = {'type': 'bool', 'default': False}
    for option in START_VALUES:
        spec.setdefault(option, {'type': 'str'})
    return spec


def main():
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_if=[('extend', True, ['for'])],
        required_by={'pg_host': ['pg_passfile']},
    )
    params = module.params
    if params['strict'] and params['allow_incomplete']:
        module.fail_json(msg='strict lifts the cordon after an incomplete drain, allow_incomplete keeps it: give one of them')
    if params['all'] and (params['ports'] or params['state'] == 'present'):
        module.fail_json(msg='all ends every window: it goes with state=absent and without ports')

    if params['ports'] == []:
        module.fail_json(msg='ports is an empty list: name the ports, or leave it out')

    tool = Tool(module)
    before = tool.call('status').windows
    if params['state'] == 'absent':
        absent(module, tool, before)
    present = Present(module, tool)
    if module.check_mode:
        present.plan(before)
    present.run(before)


if __name__ == '__main__':
    main()
