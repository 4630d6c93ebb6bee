"""The mail log: one line for each thing that happens to a message, a session or a login. docs/log.md is its manual.

A line is written after the fact is committed, and never holds it up: it may be lost, it is never false.

    line      an event as one line of text or JSON, whatever a sender has put into it; pure
    mail_log  the logger, and how an event gets to it
    sessions, acceptance, decisions, results, actions
              which event is said of what, and in which words
    formats, queue, outlets
              from records to standard error, syslog or a file, by a thread that may wait for them
"""
