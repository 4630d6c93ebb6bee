"""What the log says of what people do to messages, by the commands of an installation that runs."""

from __future__ import annotations

import json

from tests.spool.events.conftest import ANN, Logged
from tests.support.waiting import wait_until

DEAD = "someone@dead.test"


def _waiting(logged: Logged, sender: str = ANN) -> str:
    queue_id = logged.send(sender, DEAD)
    # The first one finds that the host does not answer; for those behind it the host rests.
    wait_until(
        lambda: [one for one in logged.log.events(id=queue_id) if one["event"] in ("attempt", "held")],
        "it has been tried, or put off",
        30,
    )
    wait_until(lambda: logged.mailspool.rows("SELECT 1 FROM spool_entry WHERE leased_by = ''"), "it rests", 20)
    return queue_id


def _act(logged: Logged, verb: str, queue_id: str, *options: str) -> None:
    logged.mailspool.manage("spool", verb, "--id", f"{queue_id}.eml", "--yes", *options)


def test_a_message_says_who_held_released_redirected_deleted_and_restored_it(logged: Logged) -> None:
    queue_id = _waiting(logged)
    _act(logged, "hold", queue_id, "--reason", "to be looked at")
    held = logged.log.wait_for(id=queue_id, event="held", why="to be looked at")
    assert "shell" in held["by"]
    _act(logged, "priority", queue_id, "low")
    assert logged.log.wait_for(id=queue_id, event="priority")["priority"] == "low"
    _act(logged, "delete", queue_id)
    deleted = logged.log.wait_for(id=queue_id, event="deleted")
    assert deleted["by"] == held["by"]
    action = logged.log.wait_for(event="action", action=deleted["action"])
    assert (action["what"], action["done"], action["by"], action["id"]) == ("delete", "1", held["by"], "-")
    logged.mailspool.manage("spool", "undo", deleted["action"], "--yes")
    logged.log.wait_for(id=queue_id, event="restored")
    _act(logged, "redirect", queue_id, "--to", "other@sink.test")
    assert logged.log.wait_for(id=queue_id, event="redirected")["to"] == "other@sink.test"
    _act(logged, "release", queue_id)
    logged.log.wait_for(id=queue_id, event="released")
    logged.log.wait_for(id=queue_id, event="attempt", status="delivered", to="other@sink.test")
    logged.log.wait_for(id=queue_id, event="ended")


def test_a_message_that_is_moved_and_put_back_says_where(logged: Logged) -> None:
    queue_id = _waiting(logged)
    _act(logged, "move", queue_id, "--folder", "case-7")
    moved = logged.log.wait_for(id=queue_id, event="moved")
    assert moved["folder"].endswith("/moved/case-7")
    logged.mailspool.manage("spool", "put-back", moved["folder"], "--yes")
    accepted = logged.log.events(id=queue_id, event="accepted")[-1]
    assert accepted["origin"] == "command"
    assert logged.log.wait_for(id=queue_id, event="restored")["folder"] == moved["folder"]


def test_a_deletion_with_a_bounce_names_the_bounce(logged: Logged) -> None:
    queue_id = _waiting(logged)
    _act(logged, "delete", queue_id, "--bounce")
    notice = logged.log.wait_for(id=queue_id, event="notice", kind="failed")
    assert logged.log.wait_for(id=notice["bounce"], event="accepted")["parent"] == queue_id


def test_a_copy_has_an_id_of_its_own_and_says_of_what_it_is(logged: Logged) -> None:
    queue_id = _waiting(logged)
    _act(logged, "resend", queue_id, "--to", "copy@sink.test")
    copy = logged.log.wait_for(event="accepted", parent=queue_id)
    logged.log.wait_for(id=copy["id"], event="attempt", to="copy@sink.test", status="delivered")


def test_an_action_on_very_many_has_lines_up_to_a_bound(logged: Logged) -> None:
    code = (
        "from spool.events import actions\nactions.MOST_LINES = 2\nfrom accounts.models import Role\n"
        "from spool.actions import Actor, perform\nfrom spool.models import Entry\n"
        "ids = list(Entry.objects.filter(sender='bulk@here.test').values_list('id', flat=True))\n"
        "perform('hold', ids, Actor('root@here.test', Role.SYSTEM_ADMINISTRATOR), background=False)\n"
    )
    for _ in range(4):
        _waiting(logged, "bulk@here.test")
    logged.mailspool.run(code)
    action = logged.log.wait_for(event="action", by="root@here.test", what="hold")
    assert action["done"] == "4"
    assert len(logged.log.events(event="held", action=action["action"])) == 2


def test_a_dropped_file_that_is_no_message_is_refused_with_the_reason(logged: Logged) -> None:
    drop = logged.mailspool.home / "drop"
    (drop / "coming.tmp").write_bytes(b"To: nobody@here.test\n\nHello\n")
    (drop / "coming.tmp").rename(drop / "bad\nname.eml")
    refused = logged.log.wait_for(event="refused", origin="drop")
    assert "no such" in refused["why"].lower() or "550" in refused["why"]
    assert refused["file"].startswith("bad")
    (drop / "coming.tmp").write_bytes(f"From: {ANN}\nTo: dropped@sink.test\n\nHello\n".encode())
    (drop / "coming.tmp").rename(drop / "good.eml")
    accepted = logged.log.wait_for(event="accepted", origin="drop")
    logged.log.wait_for(id=accepted["id"], event="ended")


def test_commands_keep_the_log_off_what_they_print(logged: Logged) -> None:
    queue_id = _waiting(logged)
    done = logged.mailspool.manage("spool", "hold", "--id", f"{queue_id}.eml", "--yes", "--json")
    assert json.loads(done.stdout)
    assert done.stderr == ""
