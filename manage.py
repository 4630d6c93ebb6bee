#!/usr/bin/env python3
"""Mailspool's command line: `./manage.py help` lists what it can do."""

import sys

if __name__ == "__main__":
    from mailspool.commandline import main

    main(sys.argv[1:])
