"""Every door by which somebody changes something: pages of the console and the user site, and commands.

The doors are looked for anew in each run. One that nobody has listed here fails: say what to do there, and it is done
and its record looked at; or say that it only looks, and it is tried whether that is so.
"""
