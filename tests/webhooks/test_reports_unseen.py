"""Letters of many programs that say they could not deliver, without a status part or with one that says nothing.

Each was labelled by hand before the program had seen it; those it first misread are kept.
"""

# ruff: noqa: E501 - letters stand as they were written

import pytest

from preference_center.webhooks.reports import reading
from tests.support.bounces import mails
from tests.support.bounces.mails import ANNA

HTML = "text/html; charset=utf-8"


def letter(
    subject: str,
    words: str,
    *,
    sender: str = "",
    kind: str = "text/plain; charset=utf-8",
    copy: bool = True,
    **more: str,
) -> bytes:
    by = {"sender": sender} if sender else {}
    text = mails.head(subject, **by, **more) + f"Content-Type: {kind}\nContent-Transfer-Encoding: 8bit\n\n{words}\n"
    return (text + (f"\n{mails.returned()}\nIt is spring.\n" if copy else "")).encode()


def bare(status: str, fields: str = "", words: str = "Your mail did not arrive.") -> bytes:
    """A status part without a diagnostic code; further fields of the recipient in its place."""
    return mails.dsn(status, "", words=words, more=fields)


LETTERS = {
    "Notes": ("hard", letter(
        f"DELIVERY FAILURE: User anna ({ANNA}) not listed in Domino Directory",
        "Your message\n\n  Subject: Spring is here\n\nwas not delivered to:\n\n"
        f"  {ANNA}\n\nbecause:\n\n  User anna ({ANNA}) not listed in Domino Directory\n")),
    "Notes, full": ("soft", letter(
        "DELIVERY FAILURE: Database would exceed its disk quota",
        f"Your message was not delivered to:\n\n  {ANNA}\n\nbecause:\n\n"
        "  Cannot allocate database object - database would exceed its disk quota.\n")),
    "GroupWise": ("hard", letter(
        "Message status - undeliverable",
        f"The message that you sent was undeliverable to the following:\n\t{ANNA} (user not found)\n")),
    "Exchange of old": ("hard", letter(
        "Undeliverable: Spring is here",
        "Your message did not reach some or all of the intended recipients.\n\n      Subject:  Spring is here\n      Sent:     3/3/2025 8:00 AM\n\n"
        f"The following recipient(s) could not be reached:\n\n      {ANNA} on 3/3/2025 8:01 AM\n"
        "            The e-mail account does not exist at the organization this message was sent to.  Check the e-mail address, or "
        "contact the recipient directly to find out the correct address.\n            <mx.harbour.example #5.1.1>\n",
        sender="System Administrator <postmaster@harbour.example>")),
    "Exchange of old, no room": ("soft", letter(
        "Undeliverable: Spring is here",
        "Your message did not reach some or all of the intended recipients.\n\n"
        f"The following recipient(s) could not be reached:\n\n      {ANNA} on 3/3/2025 8:01 AM\n"
        "            The message could not be delivered because the recipient's mailbox is full.\n            <mx.harbour.example #5.2.2>\n",
        sender="System Administrator <postmaster@harbour.example>")),
    "Exchange Online as HTML": ("hard", letter(
        "Undeliverable: Spring is here",
        f"<html><body><p>Your message to <b>{ANNA}</b> couldn't be delivered.</p><p>anna wasn't found at harbour.example.</p>"
        "<table><tr><td>Action Required: Unknown To address</td></tr></table></body></html>",
        kind=HTML, copy=False, sender="Microsoft Outlook <postmaster@harbour.example>")),
    "Exchange Online as HTML, restricted": ("block", letter(
        "Undeliverable: Spring is here",
        f"<html><body><p>Your message to <b>{ANNA}</b> couldn't be delivered.</p><p>The group only accepts messages from people in its "
        "organization or on its allowed senders list, and your email address isn't on the list.</p></body></html>",
        kind=HTML, copy=False, sender="Microsoft Outlook <postmaster@harbour.example>")),
    "Gmail": ("hard", letter(
        "Delivery Status Notification (Failure)",
        f"** Address not found **\n\nYour message wasn't delivered to {ANNA} because the address couldn't be found, or is unable to receive "
        "mail.\n\nThe response from the remote server was:\n550 5.1.1 The email account that you tried to reach does not exist.\n",
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>")),
    "Gmail, blocked": ("block", letter(
        "Delivery Status Notification (Failure)",
        f"** Message blocked **\n\nYour message to {ANNA} has been blocked. See technical details below for more information.\n\n"
        "The response from the remote server was:\n554 5.7.1 Spam message rejected\n",
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>")),
    "Gmail, not yet": ("deferred", letter(
        "Delivery Status Notification (Delay)",
        f"** Delivery incomplete **\n\nThere was a temporary problem delivering your message to {ANNA}. Gmail will retry for 46 more hours. "
        "You'll be notified if the delivery fails permanently.\n",
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>")),
    "Yahoo": ("hard", letter(
        "Failure Notice",
        f"Sorry, we were unable to deliver your message to the following address.\n\n<{ANNA}>:\nRemote host said: 554 delivery error: dd This "
        "user doesn't have a yahoo.com account (anna@harbour.example) [0] - mta1234.mail.bf1.yahoo.com\n")),
    "iCloud": ("hard", letter(
        "Delivery Notification: Delivery has failed",
        "This report relates to a message you sent with the following header fields:\n\n  Message-id: <x@example.com>\n  Date: Mon, 3 Mar 2025\n\n"
        f"Your message cannot be delivered to the following recipients:\n\n  Recipient address: {ANNA}\n  Reason: Remote SMTP server has "
        "rejected address\n  Diagnostic code: smtp;550 5.1.1 unknown or illegal alias: anna@harbour.example\n")),
    "Sendmail": ("hard", letter(
        "Returned mail: see transcript for details",
        "The original message was received at Mon, 3 Mar 2025 08:00:00 +0000\nfrom out.news.example.com [192.0.2.9]\n\n"
        f"   ----- The following addresses had permanent fatal errors -----\n<{ANNA}>\n    (reason: 550 5.1.1 <{ANNA}>... User unknown)\n\n"
        f"   ----- Transcript of session follows -----\n... while talking to mx.harbour.example.:\n>>> DATA\n<<< 550 5.1.1 <{ANNA}>... User "
        f"unknown\n550 5.1.1 <{ANNA}>... User unknown\n<<< 503 5.0.0 Need RCPT (recipient)\n")),
    "Sendmail, no output": ("soft", letter(
        "Returned mail: see transcript for details",
        f"   ----- The following addresses had permanent fatal errors -----\n<{ANNA}>\n    (reason: Can't create output)\n\n"
        f"   ----- Transcript of session follows -----\n550 5.0.0 <{ANNA}>... Can't create output\n")),
    "qmail in Polish": ("soft", letter(
        "failure notice",
        "Bardzo nam przykro jednakze nie udalo sie wyslac maila pod wskazane adresy.\nPrzyczyna wskazana jest ponizej:\n\n"
        f"<{ANNA}>:\nmaildrop: maildir over quota.\n\n--- Below this line is a copy of the message.\n")),
    "WP in Polish": ("hard", letter(
        "Niedostarczona wiadomość",
        f"Twoja wiadomość nie mogła zostać dostarczona do odbiorcy:\n\n  {ANNA}\n\nPowód: nie ma takiego użytkownika.\n")),
    "QQ": ("hard", letter(
        "来自 harbour.example 的退信",
        f"很抱歉您发送的邮件被退回，以下是该邮件的相关信息：\n\n收件人：{ANNA}\n退信原因：收件人邮件地址（{ANNA}）不存在，邮件无法送达。\n",
        sender="PostMaster@harbour.example")),
    "QQ, full": ("soft", letter(
        "系统退信",
        f"抱歉，您的邮件被退回来了……\n\n收件人：{ANNA}\n退信原因：收件人邮箱空间不足，邮件无法送达。\n",
        sender="PostMaster@harbour.example")),
    "OVH": ("hard", letter(
        "Undelivered Mail Returned to Sender",
        f"Votre message n'a pas pu être remis à un ou plusieurs destinataires.\n\n<{ANNA}>: host mx.harbour.example[192.0.2.1] said: 550 5.1.1 "
        f"<{ANNA}>: Recipient address rejected: User unknown (in reply to RCPT TO command)\n")),
    "Orange": ("hard", letter(
        "Echec de remise",
        f"Votre message n'a pas pu être délivré au destinataire suivant :\n\n{ANNA}\n\nMotif : adresse du destinataire inexistante.\n",
        sender="Mail Delivery System <MAILER-DAEMON@orange.example>")),
    "UOL": ("hard", letter(
        "Mensagem não entregue",
        f"Sua mensagem não pôde ser entregue a:\n\n<{ANNA}>\n\nMotivo: usuário inexistente.\n")),
    "Locaweb, full": ("soft", letter(
        "Mensagem devolvida ao remetente",
        f"Não foi possível entregar a mensagem para <{ANNA}>:\n\n552 5.2.2 A caixa postal do destinatário está cheia\n")),
    "Terra in Spanish": ("hard", letter(
        "Mensaje no entregado",
        f"No se pudo entregar su mensaje al siguiente destinatario:\n\n{ANNA}\n\nLa cuenta de correo no existe.\n")),
    "web.de": ("hard", letter(
        "Mail delivery failed: returning message to sender",
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of "
        f"its recipients.\nThe following addresses failed:\n\n<{ANNA}>:\nSMTP error from remote server for RCPT TO command, host: "
        "mx.harbour.example (192.0.2.1) reason: 550 Requested action not taken: mailbox unavailable\n")),
    "GMX in German": ("soft", letter(
        "Unzustellbar: Spring is here",
        f"Ihre Nachricht konnte dem folgenden Empfänger nicht zugestellt werden:\n\n{ANNA}\n\nDas Postfach des Empfängers ist voll.\n")),
    "Mail.ru": ("hard", letter(
        "Mail failure.",
        f"Ваше письмо не может быть доставлено.\n\n{ANNA}\n    550 Message was not accepted -- invalid mailbox. Local mailbox {ANNA} is "
        "unavailable: user not found\n")),
    "Yandex": ("block", letter(
        "Недоставленное сообщение",
        f"К сожалению, Ваше письмо для {ANNA} не может быть доставлено.\n\n554 5.7.1 Message rejected under suspicion of SPAM\n",
        sender="mailer-daemon@yandex.example")),
    "Seznam": ("hard", letter(
        "Nedoručitelná zpráva",
        f"Vaše zpráva pro <{ANNA}> nemohla být doručena.\nYou message for <{ANNA}> could not be delivered.\n\nDůvod / Reason:\n---------------\n\n"
        "5.1.1 szn; User hasn't got the service mapped\n")),
    "a Japanese phone company": ("hard", letter(
        "Mail System Error - Returned Mail",
        f"次のあて先へのメッセージはエラーのため送信できませんでした。\n\n<{ANNA}>\n\n宛先のメールアドレスは存在しません。\n",
        sender="Postmaster <postmaster@docomo.example>")),
    "MDaemon": ("hard", letter(
        "Permanent Delivery Failure",
        "The attached message had PERMANENT fatal delivery errors!\n\nAfter one or more unsuccessful delivery attempts the attached message has "
        f"been removed from the mail queue.\n\n--> RCPT To:<{ANNA}>\n<-- 550 <{ANNA}>, Recipient unknown\n")),
    "Exim, verified elsewhere": ("block", mails.exim((ANNA, "SMTP error from remote mail server after MAIL FROM:<bounce@news.example.com>: 550 Sender verify failed"))),
    "Exim, late": ("soft", mails.exim((ANNA, "retry timeout exceeded"))),
    "warned": ("deferred", letter(
        "Warning: message 1tp0 delayed 24 hours",
        f"This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of "
        f"its recipients after more than 24 hours on the queue.\n\nThe address to which the message has not yet been delivered is:\n\n  {ANNA}\n\n"
        "No action is required on your part. Delivery attempts will continue for some time.\n")),
    "a status part that says nothing, words in a field of its maker": ("hard", bare(
        "5.0.0", 'X-Supplementary-Info: <192.0.2.1 #5.0.0 smtp; 550 "Unknown User">\n')),
    "the same, of a spam filter": ("block", bare(
        "5.0.0", "X-Supplementary-Info: <mx.harbour.example #5.0.0 smtp; 554 5.7.1 rejected as spam>\n")),
    "the same, full": ("soft", bare("5.0.0", "X-Display-Reason: 552 mailbox full\n")),
    "Notes in a status part": ("hard", mails.dsn("5.0.0", "X-Notes; User anna (anna@harbour.example) not listed in Domino Directory")),
    "a program's exit status, words in the letter": ("hard", mails.dsn(
        "5.0.0", "x-unix; exit 67", words=f"<{ANNA}>: user unknown. Command output: no such user")),
    "5.0.0 and words": ("hard", mails.dsn("5.0.0", "550 The recipient is no longer with us")),
    "5.0.0 and words of a list": ("block", mails.dsn("5.0.0", "550 blocked, see http://dnsbl.example/?192.0.2.9")),
    "5.0.0 and no words at all": ("soft", bare("5.0.0")),
    "5.1.1 of a host that blocks": ("block", mails.dsn("5.1.1", "550 5.1.1 Client host [192.0.2.9] blocked using zen.spamhaus.org")),
    "an answer of a person away": ("auto-reply", mails.reply(
        "Automatic reply: Spring is here", "I no longer work here; my mailbox is full.", Auto_Submitted="auto-replied")),
    "an answer of a person, in a hurry": ("unknown", letter(
        "Re: Spring is here", "I did not order this. My old address does not exist any more.", sender=f"Anna <{ANNA}>",
        Return_Path=f"<{ANNA}>")),
}  # fmt: skip


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_is_understood(name: str) -> None:
    """S120"""
    meant, raw = LETTERS[name]
    (finding,) = reading.read(raw).findings
    assert str(finding.meaning) == meant, finding.detail
    assert finding.recipient == ANNA or meant == "unknown"
