"""What receivers mean by their refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from spool.delivery.replies import Reply
from spool.delivery.shaping.classes import LONGEST_TEXT, ReplyClass, classify, parse, wait_asked_for

TEXTS = Path(__file__).with_name("reply_texts.txt")


def _said() -> list[tuple[ReplyClass, Reply]]:
    found = []
    for line in TEXTS.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, text = line.partition("\t")
            found.append((ReplyClass(name), Reply(int(text[:3]), (text[4:],))))
    return found


def test_most_of_what_receivers_really_say_is_understood() -> None:
    said = _said()
    wrong = [
        f"{classify(reply.code, reply.enhanced, reply.text)} for {is_about}: {reply.text}"
        for is_about, reply in said
        if classify(reply.code, reply.enhanced, reply.text) is not is_about
    ]
    assert len(said) >= 200
    assert len({reply.text for _, reply in said}) == len(said)
    assert len(wrong) <= 0.02 * len(said), "\n".join(wrong)


def test_what_brakes_us_is_never_read_into_what_is_about_a_message_or_a_recipient() -> None:
    brakes = {ReplyClass.RATE, ReplyClass.CONNECTIONS, ReplyClass.REPUTATION}
    wrong = [
        reply.text
        for is_about, reply in _said()
        if is_about not in brakes and classify(reply.code, reply.enhanced, reply.text) in brakes
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("is_about", "text"),
    [
        ("rate", "421 4.7.0 Zu viele E-Mails von Ihrer IP-Adresse. Bitte versuchen Sie es später erneut."),
        ("rate", "451 4.7.1 Sendelimit überschritten, bitte später erneut versuchen"),
        ("rate", "421 4.7.0 Vous envoyez trop de messages, réessayez plus tard"),
        ("rate", "421 4.7.0 Demasiados mensajes desde su dirección IP, inténtelo más tarde"),
        ("rate", "421 4.7.0 Troppi messaggi inviati da 192.0.2.1, riprovare più tardi"),
        ("rate", "421 4.7.0 Muitas mensagens enviadas em pouco tempo, tente novamente mais tarde"),
        ("rate", "421 4.7.0 Te veel berichten verzonden, probeer het later opnieuw"),
        ("rate", "421 4.7.0 Przekroczono limit wiadomości, spróbuj później"),
        ("rate", "421 4.7.0 Слишком много писем, попробуйте позже"),
        ("rate", "421 4.7.0 发信频率过高，请稍后再试"),
        ("rate", "421 4.7.0 送信数が制限を超えました。しばらくしてから再送してください"),
        ("connections", "421 4.7.0 Zu viele gleichzeitige Verbindungen von 192.0.2.1"),
        ("connections", "421 4.7.0 Demasiadas conexiones desde 192.0.2.1"),
        ("connections", "421 4.7.0 Troppe connessioni da 192.0.2.1"),
        ("connections", "421 4.7.0 Muitas conexões do seu IP 192.0.2.1"),
        ("connections", "421 4.7.0 Te veel verbindingen van 192.0.2.1"),
        ("connections", "421 4.7.0 Zbyt wiele polaczen z 192.0.2.1"),
        ("connections", "421 4.7.0 Слишком много соединений с вашего IP 192.0.2.1"),
        ("connections", "421 4.7.0 连接数过多，请稍后再试"),
        ("connections", "421 4.7.0 同時接続数が多すぎます"),
        ("reputation", "554 5.7.1 Ihre IP-Adresse ist gesperrt: 192.0.2.1"),
        ("reputation", "554 5.7.1 Votre adresse IP 192.0.2.1 est sur une liste noire"),
        ("reputation", "554 5.7.1 Su dirección IP está en una lista negra"),
        ("reputation", "554 5.7.1 Ваш IP-адрес 192.0.2.1 в черном списке"),
        ("reputation", "554 5.7.1 您的IP地址已被列入黑名单"),
        ("mailbox-full", "552 5.2.0 Speicherplatz des Postfachs überschritten"),
        ("mailbox-full", "452 4.2.0 La boite aux lettres du destinataire est pleine"),
        ("mailbox-full", "552 5.2.0 El buzón del destinatario está lleno"),
        ("mailbox-full", "552 5.2.0 Casella di posta piena"),
        ("mailbox-full", "552 5.2.0 Caixa postal do destinatário está cheia"),
        ("mailbox-full", "552 5.2.0 Mailbox van de ontvanger is vol"),
        ("mailbox-full", "552 5.2.0 Skrzynka odbiorcy jest pełna"),
        ("mailbox-full", "552 5.2.0 Почтовый ящик переполнен"),
        ("mailbox-full", "552 5.2.0 收件人邮箱已满"),
        ("mailbox-full", "552 5.2.0 メールボックスがいっぱいです"),
    ],
)
def test_other_languages_are_understood_with_and_without_their_accents(is_about: str, text: str) -> None:
    reply = Reply(int(text[:3]), (text[4:],))
    assert classify(reply.code, reply.enhanced, reply.text) == is_about


def test_a_code_with_a_star_is_not_the_code_before_it() -> None:
    """5.7.606 to 5.7.649 are banned addresses; 5.7.64 is a connector that is not set up, of one customer."""
    assert classify(550, "5.7.640", "Access denied") is ReplyClass.REPUTATION
    assert classify(550, "5.7.64", "TenantAttribution; Relay Access Denied") is ReplyClass.POLICY


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("451 Greylisted, please try again in 180 seconds", 180),
        ("450 4.2.0 greylisted for 60 seconds by ZEROSPAM", 60),
        ("451 4.7.1 Greylisting in action, please come back in 00:05:00", 300),
        ("451 Greylisted for 5 minutes", 300),
        ("451 greylisted, retry in 15 mins", 900),
        ("451 greylisted for 1 hour", 3600),
        ("451 4.7.1 Greylisted by policy", None),
        ("451 4.7.1 Greylisted for a week", None),
    ],
)
def test_a_host_that_greylists_is_asked_again_when_it_says(text: str, seconds: int | None) -> None:
    assert wait_asked_for(text) == seconds


def test_words_that_come_too_late_in_a_text_decide_nothing() -> None:
    assert classify(421, "4.0.0", "too many connections") is ReplyClass.CONNECTIONS
    assert classify(421, "4.0.0", "x" * LONGEST_TEXT + " too many connections") is ReplyClass.OTHER


def test_what_was_taken_is_about_nothing() -> None:
    assert classify(250, "2.0.0", "ok, but you are throttled") is ReplyClass.OTHER


def test_a_rule_is_read_with_its_codes_and_phrases() -> None:
    [rule] = parse("# a remark\n\nrate 421,4.7.6*: too many … per hour  # why\n")
    assert (rule.is_about, rule.codes) == (ReplyClass.RATE, ("421", "4.7.6*"))
    words = " too many messages per hour "
    assert rule.fits(421, "4.0.0", words)
    assert rule.fits(451, "4.7.650", words)
    assert not rule.fits(451, "4.7.1", words)
    assert not rule.fits(421, "4.0.0", " per hour too many ")
