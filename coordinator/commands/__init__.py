"""The sub-commands of `edgesplit`: each module declares its arguments and runs."""
