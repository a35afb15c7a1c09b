"""Deploy the stack to an AWS account and operate it from the command line; never shipped."""
