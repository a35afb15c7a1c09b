"""Downloaded functions under AWS's own Lambda runtime client (Linux only).

It shows what depends on the runtime: initialisation time, the deadline, freeze and thaw, timeouts,
SnapStart's restore, and the form of errors.
"""
