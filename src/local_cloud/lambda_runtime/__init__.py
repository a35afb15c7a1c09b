"""AWS's own Lambda runtime client over the zips as deployed, with the Runtime API it talks to.

For whatever depends on the runtime: time to initialise, the deadline, freeze and thaw, a timeout,
SnapStart's restore, the forms of errors. Linux only.
"""

from local_cloud.lambda_runtime.deployed import Deployed
from local_cloud.lambda_runtime.environment import Environment, InitFailed

__all__ = ["Deployed", "Environment", "InitFailed"]
