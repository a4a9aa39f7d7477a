#!/usr/bin/python
"""Says what a host is of a cluster, by what kubewright has left there."""

DOCUMENTATION = r"""
module: kubewright_membership
short_description: Says whether a host is in a cluster, and by which command it got there
description:
  - Reads the record that kubewright keeps on a host. Nothing is changed.
options:
  receipt:
    description: Path of the record.
    type: path
    default: /var/lib/kubewright/receipt.json
  kubeconfig:
    description: Path of the kubelet's kubeconfig, which a host of a cluster has.
    type: path
    default: /etc/kubernetes/kubelet.conf
supports_check_mode: true
"""

EXAMPLES = r"""
- name: Look what the host is
  kubewright_membership:
  register: kubewright_host
"""

RETURN = r"""
member:
  description: Whether the host's kubelet belongs to a cluster.
  type: bool
  returned: always
joined:
  description: Whether C(join) made it a member.
  type: bool
  returned: always
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

# Phases that C(join) has and C(init) has not.
JOINING = ("control-plane-prepare/", "kubelet-wait-bootstrap")


def phases(path):
    """The phases that have ever done something on this host."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [step["phase"] for step in json.load(file).get("steps", {}).values()]


def main():
    module = AnsibleModule(
        argument_spec={
            "receipt": {"type": "path", "default": "/var/lib/kubewright/receipt.json"},
            "kubeconfig": {"type": "path", "default": "/etc/kubernetes/kubelet.conf"},
        },
        supports_check_mode=True,
    )
    member = os.path.exists(module.params["kubeconfig"])
    joined = any(phase.startswith(JOINING) for phase in phases(module.params["receipt"]))
    module.exit_json(changed=False, member=member, joined=member and joined)


if __name__ == "__main__":
    main()
