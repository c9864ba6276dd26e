#!/usr/bin/env python3
"""Django's command line. `./dev manage` sets up the environment and calls this."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spinetrial.settings")
    execute_from_command_line(sys.argv)
