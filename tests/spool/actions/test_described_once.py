"""An action says of itself what pages and commands show: nothing about it stands anywhere else."""

from __future__ import annotations

import argparse

import pytest

from quarantine.actions.verbs import ACTIONS as OF_ITEMS
from quarantine.console.actions import BUTTONS
from quarantine.models.item import ItemKind
from spool.actions import VERBS, Verb
from spool.actions.verbs import OF_ENTRIES, OF_TRASH
from spool.console.actions import ACTIONS, BY_NAME
from spool.shell.actions import add_action

EVERY = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


def test_every_action_has_its_room() -> None:
    assert list(VERBS.values()) == [*OF_ENTRIES, *OF_TRASH, *OF_ITEMS]


@EVERY
def test_what_is_needed_to_offer_it_is_said(verb: Verb) -> None:
    assert verb.icon and verb.label and verb.past and verb.__doc__
    assert all(one.option_help for one in verb.inputs)


@EVERY
def test_its_command_takes_what_its_dialog_asks_for(verb: Verb) -> None:
    parser = add_action(argparse.ArgumentParser().add_subparsers(), verb)
    taken = {action.dest for action in parser._actions} - {"help", "dry_run", "yes", "background", "all"}
    assert taken == {f"input_{one.name}" for one in verb.inputs}


def test_pages_offer_the_actions_in_their_order_and_export_before_the_last() -> None:
    assert [button.url for button in ACTIONS] == [
        "force",
        "reset",
        "priority",
        "hold",
        "release",
        "redirect",
        "resend",
        "move",
        "export",
        "delete",
    ]
    assert BY_NAME["empty-trash"].agree == "Delete for good"
    assert [button.url for button in BUTTONS[ItemKind.SPAM]] == ["resend", "rescan", "move", "export", "delete"]


def test_nobody_is_trusted_and_nothing_learned_by_a_virus() -> None:
    inputs = {kind: [one.name for button in BUTTONS[kind] for one in button.inputs] for kind in ItemKind}
    assert inputs[ItemKind.SPAM] == ["trust", "learn", "folder", "format", "learn"]
    assert inputs[ItemKind.VIRUS] == ["folder", "format"]


def test_exactly_one_way_of_redirecting_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    parser = add_action(argparse.ArgumentParser().add_subparsers(), VERBS["redirect"])
    with pytest.raises(SystemExit):
        parser.parse_args([])
    with pytest.raises(SystemExit):
        parser.parse_args(["--to", "bob@example.org", "--next-hop", "usual"])
    assert parser.parse_args(["--next-hop", "usual"]).input_to == ""
