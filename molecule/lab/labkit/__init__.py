"""The lab: systemd containers that Ansible reaches by ssh like any host. `lab.py` is its command."""
