"""Pipeline: recording a step as it runs, who may run it on what (plans, approvals), and contributions in quarantine.

Read `run` first: what is measured before the start and after the end of a step. `command` and `record` are the two ways to
run one, `plan` and `permission` say which may start, `quarantine` and `release` keep what others contribute until
enough people agree; who counts as another person stands in `people`.
"""
