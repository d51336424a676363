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
module: window_info
short_description: Show the windows that keep remote clients off PostgreSQL
version_added: 0.1.0
author:
  - The pgcordon maintainers (@pgcordon)
description:
  - Reads which windows are in force on a PostgreSQL host, how long they last, who knocked, and
    who is connected. It never changes anything.
extends_documentation_fragment:
  - pgcordon.maintenance.tool
options:
  ports:
    description:
      - Only the windows on these ports.
    type: list
    elements: int
    aliases: [port]
attributes:
  check_mode:
    description: Never changes anything, and does the same in check mode.
    support: full
  diff_mode:
    description: Never changes anything.
    support: none
  platform:
    description: Target systems.
    support: full
    platforms: linux
seealso:
  - module: pgcordon.maintenance.window
'''

EXAMPLES = r'''
- name: Look
  pgcordon.maintenance.window_info:
  become: true
  register: cordon

- name: Go on only where remote clients are kept out for five minutes at least
  ansible.builtin.assert:
    that: cordon.windows | selectattr('remaining_s', 'gt', 300) | list | length > 0
'''

RETURN = r'''
in_force:
  description:
    - Whether a window is closed to remote clients now; one that is in its ramp is not.
  returned: success
  type: bool
  sample: true
windows:
  description:
    - The windows, those in their ramp too. Times are UTC.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 06b646037a8a058a
      port: 5432
      phase: closed
      started_at: "2026-11-22T08:00:00.000Z"
      ends_at: "2026-11-22T08:10:00.000Z"
      remaining_s: 321.5
      verdict: drop
      reason: reindex orders
      by: alice
      by_uid: 1000
      guard_pid: 4711
      healed: 0
      blocked: {packets: 10, bytes: 584}
      knocks: [{address: 203.0.113.7, packets: 10}]
      pass: [10.0.0.5/32]
      ramp: null
connections:
  description:
    - Everybody who is connected to a port with a window.
  returned: success
  type: list
  elements: dict
  sample:
    - port: 5432
      pid: 79
      role: ""
      database: ""
      application: ""
      client: 10.0.0.5:40112
      state: ""
      wait: ""
      since_s: null
      query: ""
      verdict: pass
      why: its address passes
report:
  description:
    - The program's JSON, whole.
  returned: always but when the program is missing
  type: dict
  sample: {schema: 1, command: status, changed: false, result: status, windows: [], warnings: []}
calls:
  description:
    - The calls of the program, in their order.
  returned: always but when the program is missing
  type: list
  elements: str
  sample: [status --output json]
rc:
  description:
    - The program's exit status.
  returned: when it failed
  type: int
  sample: 77
error:
  description:
    - Why the program failed.
  returned: when it failed
  type: dict
  sample: {kind: privilege, message: CAP_NET_ADMIN is missing, hint: run it as root}
'''

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pgcordon.maintenance.plugins.module_utils.options import port_arguments
from ansible_collections.pgcordon.maintenance.plugins.module_utils.tool import Tool


def main():
    module = AnsibleModule(
        argument_spec={
            'ports': {'type': 'list', 'elements': 'int', 'aliases': ['port']},
            'executable': {'type': 'str', 'default': 'pgcordon'},
        },
        supports_check_mode=True,
    )
    tool = Tool(module)
    answer = tool.call('status', port_arguments(module.params['ports']))
    module.exit_json(
        changed=False,
        in_force=any(window.get('phase') == 'closed' for window in answer.windows),
        windows=answer.windows,
        connections=answer.report.get('connections') or [],
        report=answer.report,
        calls=tool.calls,
    )


if __name__ == '__main__':
    main()
