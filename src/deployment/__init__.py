"""Deploy the stack to an AWS account, and work with it from the command line; never shipped."""
