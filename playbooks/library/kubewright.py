#!/usr/bin/python
"""Runs kubewright on a host, and hands what it says of its run to Ansible."""

DOCUMENTATION = r"""
module: kubewright
short_description: Runs C(init), C(join) or C(reset) of kubewright on a host
description:
  - Runs the program on the host and takes what changed from the events that it prints.
  - In check mode the program looks with C(--dry-run); in diff mode it shows the text that changes, with secrets masked.
options:
  command:
    description: The command with its words, such as C([init]) or C([join, phase, endpoint]).
    type: list
    elements: str
    required: true
  config:
    description: Text of the configuration file. It goes to the program's standard input, and is kept nowhere.
    type: str
  arguments:
    description: Further words of the command line. Nothing secret belongs here.
    type: list
    elements: str
    default: []
  program:
    description: Path of the program on the host.
    type: path
    default: /usr/local/bin/kubewright
supports_check_mode: true
"""

EXAMPLES = r"""
- name: Make the first control plane
  kubewright:
    command: [init]
    config: "{{ lookup('ansible.builtin.file', 'cluster.yaml') }}"
"""

RETURN = r"""
totals:
  description: How many steps ended how, in the words of the program's events.
  type: dict
  returned: when the program ran
steps:
  description: What changed, or in check mode would change; a line for each step.
  type: list
  returned: when the program ran
"""

import json

from ansible.module_utils.basic import AnsibleModule

# Commands that can show the text of what they change.
WITH_DIFF = ("init", "join")


def command_line(module):
    """The words of the command line."""
    params = module.params
    words = [params["program"]] + params["command"]
    if params["config"] is not None:
        words += ["--config", "-"]
    if module.check_mode:
        words.append("--dry-run")
    if module._diff and params["command"][0] in WITH_DIFF:
        words.append("--diff")
    return words + params["arguments"] + ["--progress", "json"]


def events(out):
    """The program's events: a JSON object on each line."""
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def of_kind(found, kind):
    return [event for event in found if event["event"] == kind]


def line(step):
    return "[{phase}] {title} ({subject})".format(**step)


def told(failure):
    """A failure as people read it: the causes, and how to mend it."""
    where = "[{phase}] {title}".format(**failure)
    return "\n".join([where + ": " + ": ".join(failure["causes"])] + failure["hints"])


def result(found):
    """What the events come to."""
    totals = found_totals(found)
    steps = [step for step in of_kind(found, "step-finished") if step["outcome"] in ("changed", "would-change")]
    diffs = [{"prepared": step["diff"]} for step in steps if step.get("diff")]
    return {
        "changed": bool(totals and totals["changed"] + totals["wouldChange"]),
        "totals": totals,
        "steps": [line(step) for step in steps],
        "diff": diffs,
    }


def found_totals(found):
    finished = of_kind(found, "run-finished")
    return finished[-1]["totals"] if finished else None


def main():
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str", "required": True},
            "config": {"type": "str", "no_log": True},
            "arguments": {"type": "list", "elements": "str", "default": []},
            "program": {"type": "path", "default": "/usr/local/bin/kubewright"},
        },
        supports_check_mode=True,
    )
    code, out, err = module.run_command(command_line(module), data=module.params["config"])
    found = events(out)
    outcome = result(found)
    for warning in of_kind(found, "warning"):
        hint = " ({0})".format(warning["hint"]) if warning.get("hint") else ""
        module.warn(warning["message"] + hint)
    if code != 0:
        failures = [told(event["failure"]) for event in of_kind(found, "failed")]
        module.fail_json(msg="\n".join(failures) or err.strip(), rc=code, **outcome)
    if outcome["totals"] is None:
        module.fail_json(msg="the program told nothing of its run", stdout=out, stderr=err)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
