# -*- coding: utf-8 -*-

# Copyright (c) The pgcordon maintainers
# GNU General Public License version 2 or, at your option, any later version, such as
# version 3 (see https://www.gnu.org/licenses/)
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment(object):

    # What every module of this collection needs.
    DOCUMENTATION = r'''
options:
  executable:
    description:
      - Name or path of the program on the target host. A name is looked for in the C(PATH) and in
        the folders of system programs.
    type: str
    default: pgcordon
requirements:
  - pgcordon on the target host, for example by the role C(pgcordon.maintenance.install)
  - Python 3.6 or later on the target host, or what the version of Ansible demands
notes:
  - The program needs root's capabilities, C(CAP_NET_ADMIN) at the least. Use C(become).
  - Windows live in the kernel of the target host. They end by themselves there, whatever
    becomes of the control host or of the connection to it.
'''
