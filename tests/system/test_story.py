"""What happened to a message: its events from reception to its end, and the reports that people get."""
import datetime
import email
import email.policy
import smtplib
import time

import pytest

from conftest import free_port, unverified, wait_until

ANN = ["--domain", "here.test", "--user", "ann@here.test:secret"]


def story(server, message):
    """The events of one message, in the order of their times."""
    found = [e for e in server.events() if e.get("message") == message]
    return [e["event"] for e in sorted(found, key=lambda e: e["time"])]


def sent_id(server, *args, **kwargs):
    """Sends one message and returns our id for it."""
    seen = {e["message"] for e in server.events("message_received")}
    server.send(*args, **kwargs)
    return wait_until(lambda: {e["message"] for e in server.events("message_received")} - seen, what="message_received").pop()


def report_of(octets):
    report = email.message_from_bytes(octets, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    human, status, original = list(report.iter_parts())
    assert human.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
    assert report["Auto-Submitted"].startswith("auto-replied")
    assert report["Return-Path"] == "<>"
    return report, human.get_content(), [dict(block.items()) for block in status.get_payload()], original


def test_a_local_message_from_reception_to_its_end(postrider):
    server = postrider(*ANN)
    message = sent_id(server, "me@client.test", "ann@here.test")
    wait_until(lambda: "message_finished" in story(server, message), what="message_finished")
    assert story(server, message)[0] == "message_received"
    assert "recipient_delivered" in story(server, message)
    received = server.events("message_received")[0]
    assert received["reverse_path"] == "me@client.test"
    assert received["listener"] == "mx" and received["recipients"] == 1 and received["size_octets"] > 20
    assert message in server.wait_mails("ann@here.test")[0].decode()  # the id stands in Received:


def test_captured_mail_says_so(postrider):
    server = postrider(*ANN, submission=True)
    message = sent_id(server, "ann@here.test", "bob@outside.test", login=("ann@here.test", "secret"))
    event = server.wait_event("recipient_captured", message=message)
    assert event["forward_path"] == "bob@outside.test"
    assert server.events("sign_in_succeeded")[0]["account"] == "ann@here.test"
    content = server.captured()[0].decode()
    assert "X-Original-To" in content or "bob@outside.test" in content
    assert "ESMTPSA" in content  # RFC 3848


def test_a_failed_sign_in_is_told(postrider):
    server = postrider(*ANN, submission=True)
    for user in ("ann@here.test", "nobody@here.test"):
        with server.smtp(server.submission) as client:
            client.starttls(context=unverified())
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login(user, "wrong")
            assert refused.value.smtp_code == 535
    assert server.wait_event("sign_in_failed", account="ann@here.test")


def test_a_dead_destination_is_tried_again_and_then_returned(postrider):
    dead = free_port()
    server = postrider(*ANN, "--relay-to", f"127.0.0.1:{dead}", "--relay-from", "127.0.0.0/8", "--retry-min", "200ms",
                       "--retry-max", "500ms", "--queue-lifetime", "3s")
    message = sent_id(server, "ann@here.test", "bob@outside.test", "Subject: My letter\r\n\r\nDear Bob.\r\n")
    deferred = server.wait_event("recipient_deferred", message=message)
    assert deferred["stage"] == "connect" and deferred["status"] == "4.4.1"
    assert "refused" in deferred["reply"]
    shown = server.ctl("queue", "show", message).stdout
    assert "bob@outside.test" in shown and "refused" in shown
    expired = server.wait_event("recipient_expired", message=message, timeout=20)
    assert expired["attempts"] >= 3
    report, human, blocks, original = report_of(server.wait_mails("ann@here.test")[0])
    assert report["To"] and "ann@here.test" in report["To"]
    assert "bob@outside.test" in human
    assert blocks[1]["Action"] == "failed" and blocks[1]["Status"] == "4.4.7"
    assert blocks[1]["Final-Recipient"].replace(" ", "") == "rfc822;bob@outside.test"
    assert "My letter" in original.as_string()
    assert story(server, message)[-1] == "message_finished"
    assert server.queue() == []


def test_a_delay_is_told_once(postrider):
    server = postrider(*ANN, "--relay-to", f"127.0.0.1:{free_port()}", "--relay-from", "127.0.0.0/8", "--retry-min", "200ms",
                       "--retry-max", "300ms", "--delay-warning", "1s", "--queue-lifetime", "1h")
    server.send("ann@here.test", "bob@outside.test", "Subject: My letter\r\n\r\nDear Bob.\r\n")
    _, human, blocks, _ = report_of(server.wait_mails("ann@here.test")[0])
    assert blocks[1]["Action"] == "delayed"
    assert "Will-Retry-Until" in blocks[1]
    time.sleep(2)
    assert len(server.mails("ann@here.test")) == 1
    assert len(server.queue()) == 1


def test_the_null_sender_gets_no_report(postrider):
    server = postrider(*ANN, "--relay-to", f"127.0.0.1:{free_port()}", "--relay-from", "127.0.0.0/8", "--retry-min", "200ms",
                       "--retry-max", "300ms", "--queue-lifetime", "1s")
    message = sent_id(server, "", "bob@outside.test")
    server.wait_event("recipient_expired", message=message)
    wait_until(lambda: server.queue() == [], what="an empty queue")
    assert server.events("report_dropped") and not server.events("report_made")


@pytest.mark.parametrize("notify, reports", [("NEVER", 0), ("FAILURE", 1), ("SUCCESS", 0), ("DELAY,FAILURE", 1)])
def test_notify_decides_who_is_told(postrider, notify, reports):
    server = postrider(*ANN, "--relay-to", f"127.0.0.1:{free_port()}", "--relay-from", "127.0.0.0/8", "--retry-min", "200ms",
                       "--retry-max", "300ms", "--queue-lifetime", "1s")
    with server.smtp() as client:
        client.ehlo()
        client.mail("ann@here.test", ["RET=HDRS", "ENVID=letter-42"])
        client.rcpt("bob@outside.test", [f"NOTIFY={notify}", "ORCPT=rfc822;Bob+2Bx@outside.test"])
        assert client.data("Subject: x\r\n\r\nx\r\n")[0] == 250
    server.wait_event("recipient_expired")
    wait_until(lambda: server.queue() == [], what="an empty queue")
    assert len(server.wait_mails("ann@here.test", reports)) == reports
    if reports:
        _, _, blocks, original = report_of(server.mails("ann@here.test")[0])
        assert blocks[0]["Original-Envelope-Id"] == "letter-42"
        assert blocks[1]["Original-Recipient"].replace(" ", "") == "rfc822;Bob+x@outside.test"
        assert original.get_content_type() == "text/rfc822-headers"


def test_success_is_reported_when_asked_for(postrider):
    server = postrider(*ANN, "--user", "bob@here.test:secret")
    with server.smtp() as client:
        client.ehlo()
        client.mail("ann@here.test")
        client.rcpt("bob@here.test", ["NOTIFY=SUCCESS"])
        client.data("Subject: x\r\n\r\nx\r\n")
    _, _, blocks, _ = report_of(server.wait_mails("ann@here.test")[0])
    assert blocks[1]["Action"] == "delivered" and blocks[1]["Status"].startswith("2.")


@pytest.mark.parametrize("mail, rcpt", [(["ENVID=a+0D+0AInjected:+20yes"], []),
                                        ([], ["ORCPT=rfc822;x+0D+0AInjected:+20yes"])])
def test_a_hostile_envelope_cannot_add_lines_to_a_report(postrider, mail, rcpt):
    server = postrider(*ANN, "--relay-to", f"127.0.0.1:{free_port()}", "--relay-from", "127.0.0.0/8", "--retry-min", "200ms",
                       "--retry-max", "300ms", "--queue-lifetime", "1s")
    with server.smtp() as client:
        client.ehlo()
        if client.mail("ann@here.test", mail)[0] != 250 or client.rcpt("bob@outside.test", rcpt)[0] != 250:
            return  # refused at once: nothing to inject into
        assert client.data("Subject: x\r\n\r\nx\r\n")[0] == 250
    assert b"\nInjected:" not in server.wait_mails("ann@here.test")[0]


def test_an_unknown_local_user_is_refused_at_rcpt(postrider):
    server = postrider(*ANN)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        server.send("me@client.test", "nobody@here.test")
    code, text = refused.value.recipients["nobody@here.test"]
    assert code == 550 and text.startswith(b"5.1.1")
    assert server.wait_event("recipient_refused", forward_path="nobody@here.test")
    assert not (server.dir / "mail/here.test/nobody").exists()


def test_no_relay_for_strangers(postrider):
    server = postrider(*ANN)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        server.send("ann@here.test", "bob@outside.test")
    assert refused.value.recipients["bob@outside.test"][0] in (550, 554)
    assert server.queue() == []


def test_events_carry_the_time_they_happened(postrider):
    server = postrider(*ANN)
    time.sleep(2)  # an idle server's clock must not stand still
    before = time.time()
    server.send("me@client.test", "ann@here.test")
    received = server.wait_event("message_received")["time"]
    assert abs(datetime.datetime.fromisoformat(received.replace("Z", "+00:00")).timestamp() - before) < 1
