"""Pipeline: recording a step as it runs, who may run it on what (plans, approvals), and contributions in quarantine."""
