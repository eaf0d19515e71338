#include "report/advice.h"

/* clang-format off */
static const struct advice advices[] = {
    [CAUSE_NO_MAILBOX] = { LIT("no-mailbox"),
        LIT("There is no mailbox with this address."),
        LIT("Check the address for typing mistakes. If it looks right, ask the person in another way which address to use.") },
    [CAUSE_MAILBOX_DISABLED] = { LIT("mailbox-disabled"),
        LIT("The mailbox exists but does not take mail: it was closed, suspended or not used for a long time."),
        LIT("Ask the person in another way for an address that works.") },
    [CAUSE_MAILBOX_FULL] = { LIT("mailbox-full"),
        LIT("The recipient's mailbox is full."),
        LIT("Tell the person in another way to make room, then send the message again.") },
    [CAUSE_NO_DOMAIN] = { LIT("no-domain"),
        LIT("The part of the address behind the @ does not exist on the internet, or has no mail server."),
        LIT("Check the address for typing mistakes, above all behind the @.") },
    [CAUSE_NULL_MX] = { LIT("null-mx"),
        LIT("The owners of the domain behind the @ declare that it never takes mail."),
        LIT("Check the address behind the @: the right one probably has another domain.") },
    [CAUSE_ADDRESS_SYNTAX] = { LIT("address-syntax"),
        LIT("The server does not understand the address as it is written."),
        LIT("Check it for spaces, missing parts and unusual characters.") },
    [CAUSE_SENDER_REFUSED] = { LIT("sender-refused"),
        LIT("The other server does not accept your own address as a sender."),
        LIT("Check the sender address in your mail program. If it is right, ask your postmaster: your domain may not resolve as seen from outside.") },
    [CAUSE_TOO_LARGE] = { LIT("too-large"),
        LIT("The message is larger than the other server takes."),
        LIT("Send it with smaller or fewer attachments, or share the files by a link.") },
    [CAUSE_SPAM] = { LIT("spam"),
        LIT("The other server takes the message for spam."),
        LIT("Send it again with plainer text and without links or attachments, or reach the person in another way. If this happens to ordinary messages, tell your postmaster.") },
    [CAUSE_VIRUS] = { LIT("virus"),
        LIT("The other server believes that the message holds a virus or other harmful content."),
        LIT("Check your computer and the attachments before you send anything again.") },
    [CAUSE_ATTACHMENT] = { LIT("attachment"),
        LIT("The other server does not take attachments of this kind."),
        LIT("Send the file in another form or share it by a link.") },
    [CAUSE_BLOCKLISTED] = { LIT("blocklisted"),
        LIT("The other server refuses all mail from our server because its address stands on a block list."),
        LIT("You cannot solve this; please forward this message to your postmaster, who can have the address removed from the list named below.") },
    [CAUSE_REPUTATION] = { LIT("reputation"),
        LIT("The other server does not trust our server or your domain enough to take the message."),
        LIT("You cannot solve this; please forward this message to your postmaster, who can ask the provider to look at it again.") },
    [CAUSE_UNAUTHENTICATED] = { LIT("unauthenticated"),
        LIT("The other server could not make sure that the message really comes from your domain (SPF, DKIM or DMARC)."),
        LIT("Please forward this message to your postmaster: the domain's DNS records or the signing of its mail need to be corrected.") },
    [CAUSE_REVERSE_DNS] = { LIT("reverse-dns"),
        LIT("The other server refuses our server because its address has no proper name in the DNS."),
        LIT("You cannot solve this; please forward this message to your postmaster: reverse DNS (PTR) and the server's name must agree.") },
    [CAUSE_RATE_LIMITED] = { LIT("rate-limited"),
        LIT("The other server got more mail in a short time than it wants to take."),
        LIT("Wait a few hours before you send more to this address or domain.") },
    [CAUSE_GREYLISTED] = { LIT("greylisted"),
        LIT("The other server asks every server it does not know to come back later (greylisting)."),
        LIT("Nothing needs to be done; this usually ends within an hour.") },
    [CAUSE_RESTRICTED] = { LIT("restricted"),
        LIT("This address takes mail from certain senders only, and yours is not among them."),
        LIT("Ask the recipient or the list's owner to admit your address.") },
    [CAUSE_POLICY] = { LIT("policy"),
        LIT("The rules of the other server do not allow this message."),
        LIT("Its own words below may say which rule. If they do not help, reach the recipient in another way or ask your postmaster.") },
    [CAUSE_RELAY_DENIED] = { LIT("relay-denied"),
        LIT("The server that takes mail for this domain says that it is not responsible for it."),
        LIT("Check the address behind the @. If it is right, the recipient's postmaster has to correct the domain's mail set-up.") },
    [CAUSE_TLS_WANTED] = { LIT("tls-wanted"),
        LIT("The other server takes mail over an encrypted connection only, and none could be made."),
        LIT("Please forward this message to your postmaster.") },
    [CAUSE_TLS_FAILED] = { LIT("tls-failed"),
        LIT("An encrypted connection to the other server is required and could not be made."),
        LIT("Please tell your postmaster, who can find the technical cause below.") },
    [CAUSE_CERTIFICATE] = { LIT("certificate"),
        LIT("The other server could not prove that it is the right one: its certificate is not valid for its name."),
        LIT("Please tell your postmaster. Until the certificate is corrected nothing is sent, to keep your message from strangers.") },
    [CAUSE_SIGN_IN] = { LIT("sign-in"),
        LIT("The server that forwards our mail did not accept our name and password."),
        LIT("Please tell your postmaster: username or password of the route need to be corrected.") },
    [CAUSE_DNS] = { LIT("dns"),
        LIT("The domain behind the @ could not be looked up in the DNS just then."),
        LIT("Check the domain for typing mistakes. If it is right, its owners or your postmaster have to look at their DNS.") },
    [CAUSE_NO_ANSWER] = { LIT("no-answer"),
        LIT("The mail server of this domain cannot be reached: it does not answer or refuses the connection."),
        LIT("Check the address behind the @. If it is right, the server is down or misconfigured; its postmaster can help.") },
    [CAUSE_CONNECTION_LOST] = { LIT("connection-lost"),
        LIT("The connection to the other server broke before the message was through."),
        LIT("If it happens with this message only, send it without attachments; else its postmaster or yours can help.") },
    [CAUSE_BUSY] = { LIT("busy"),
        LIT("The other server is busy or takes no mail for the moment."),
        LIT("Try again later.") },
    [CAUSE_SERVER_TROUBLE] = { LIT("server-trouble"),
        LIT("The other server has a problem of its own."),
        LIT("Try again later. If it lasts, the recipient's postmaster has to look at it.") },
    [CAUSE_SERVER_FULL] = { LIT("server-full"),
        LIT("The other server has no room left for mail."),
        LIT("Try again later. If it lasts, the recipient's postmaster has to make room.") },
    [CAUSE_LOOP] = { LIT("loop"),
        LIT("The message went in circles: the servers involved send it to each other without end."),
        LIT("The set-up of the domain or a forwarding has to be corrected. Please tell your postmaster or the recipient's.") },
    [CAUSE_NOT_SUPPORTED] = { LIT("not-supported"),
        LIT("The other server cannot take a message in this form (international addresses or characters that it does not support)."),
        LIT("Use an address with plain letters if the recipient has one, or another format for the message.") },
    [CAUSE_TOO_MANY_RECIPIENTS] = { LIT("too-many-recipients"),
        LIT("The message has more recipients than the other server takes at once."),
        LIT("Send it again to fewer people at a time.") },
    [CAUSE_PROTOCOL] = { LIT("protocol"),
        LIT("The two servers did not understand each other."),
        LIT("Please forward this message to your postmaster, who can see the cause below.") },
    [CAUSE_OWN_MAILBOX] = { LIT("own-mailbox"),
        LIT("Our server could not write to the mailbox."),
        LIT("Please tell your postmaster.") },
    [CAUSE_OWN_SETUP] = { LIT("own-setup"),
        LIT("Our server is not set up to deliver mail to this address."),
        LIT("Please forward this message to your postmaster.") },
    [CAUSE_OWN_TROUBLE] = { LIT("own-trouble"),
        LIT("Our server had a problem of its own with the message."),
        LIT("Please tell your postmaster, then send it again.") },
    [CAUSE_EXPIRED] = { LIT("expired"),
        LIT("The message could not be delivered in time."),
        LIT("Send it again later, or reach the recipient in another way.") },
    [CAUSE_OTHER_PERMANENT] = { LIT("other-permanent"),
        LIT("The message was refused for good."),
        LIT("The words below may say why. If they do not help, reach the recipient in another way or ask your postmaster.") },
    [CAUSE_OTHER_TRANSIENT] = { LIT("other-transient"),
        LIT("The message was not accepted for the moment."),
        LIT("The words below may say why. If it lasts, ask your postmaster.") },
};
_Static_assert(COUNT(advices) == CAUSE_OTHER_TRANSIENT + 1, "every cause needs its advice");

enum { ANY = 0xffff, NO_REPLY = 1 };
#define AT(stage) (1u << (stage))
enum {
    ANYWHERE = 0,
    BEFORE_MAIL = AT(STAGE_CONNECT) | AT(STAGE_GREETING) | AT(STAGE_EHLO),
    ADDRESSED = AT(STAGE_RCPT),
    TALKING = AT(STAGE_GREETING) | AT(STAGE_EHLO) | AT(STAGE_MAIL) | AT(STAGE_RCPT) | AT(STAGE_DATA) | AT(STAGE_CONTENT),
};
struct rule {
    uint8_t class;            /* of the status or, without one, of the reply: 4, 5; 0: any */
    uint16_t subject, detail; /* ANY: not looked at */
    uint16_t code;            /* 0: not looked at; NO_REPLY: our own words */
    unsigned stages;          /* 0: any */
    slice phrase;             /* in the text, without case; empty: not looked at */
    enum cause cause;
};
#define SAYS(class, stages, phrase, cause) { class, ANY, ANY, 0, stages, LIT(phrase), cause }
#define STATUS(class, subject, detail, cause) { class, subject, detail, 0, ANYWHERE, { NULL, 0 }, cause }
#define CODE(code, stages, cause) { 0, ANY, ANY, code, stages, { NULL, 0 }, cause }
#define STAGE(class, stages, cause) { class, ANY, ANY, 0, stages, { NULL, 0 }, cause }

/* The first that fits counts. Words first where servers put them under any status; then the statuses of RFC 3463 and RFC 5248
 * that mean one thing; then words of servers that give no such status; at last codes and stages. */
static const struct rule rules[] = {
    { 0, 3, 5, NO_REPLY, ANYWHERE, { NULL, 0 }, CAUSE_OWN_SETUP }, /* system incorrectly configured: ours */

    /* what TLS and DNS found, by stage: no server's words are involved */
    SAYS(0, AT(STAGE_TLS) | AT(STAGE_STARTTLS), "certificate", CAUSE_CERTIFICATE),
    STAGE(0, AT(STAGE_TLS) | AT(STAGE_STARTTLS), CAUSE_TLS_FAILED),
    STAGE(0, AT(STAGE_AUTH), CAUSE_SIGN_IN),
    STATUS(0, 1, 10, CAUSE_NULL_MX),                        /* RFC 7505 §4.2 */
    STATUS(0, 4, 6, CAUSE_LOOP),
    SAYS(5, ANYWHERE, "too many hops", CAUSE_LOOP),
    SAYS(5, ANYWHERE, "mail loop", CAUSE_LOOP),
    SAYS(5, ANYWHERE, "hop count exceeded", CAUSE_LOOP),
    STATUS(5, 1, 2, CAUSE_NO_DOMAIN),
    STATUS(5, 4, 4, CAUSE_NO_DOMAIN),
    STAGE(4, AT(STAGE_DNS), CAUSE_DNS),
    STAGE(5, AT(STAGE_DNS), CAUSE_NO_DOMAIN),

    /* greylisting */
    SAYS(4, ANYWHERE, "greylist", CAUSE_GREYLISTED),
    SAYS(4, ANYWHERE, "graylist", CAUSE_GREYLISTED),
    SAYS(4, ANYWHERE, "grey list", CAUSE_GREYLISTED),
    SAYS(4, ANYWHERE, "postgrey", CAUSE_GREYLISTED),

    /* authentication of the message: Gmail 5.7.26 and 5.7.27, Outlook 5.7.509, Yahoo 5.7.9 */
    STATUS(0, 7, 20, CAUSE_UNAUTHENTICATED),                /* RFC 7372: DKIM, SPF */
    STATUS(0, 7, 21, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 22, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 23, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 24, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 25, CAUSE_REVERSE_DNS),
    STATUS(0, 7, 26, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 27, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 30, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 509, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 515, CAUSE_UNAUTHENTICATED),
    STATUS(0, 7, 29, CAUSE_TLS_WANTED),                     /* Gmail */
    SAYS(0, TALKING, "dmarc", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "unauthenticated mail", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "unauthenticated email", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "spf check", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "spf fail", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "sender policy framework", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "not authorized to send on behalf of", CAUSE_UNAUTHENTICATED),
    SAYS(0, TALKING, "dkim", CAUSE_UNAUTHENTICATED),

    /* our server's name in the DNS */
    SAYS(0, TALKING, "reverse dns", CAUSE_REVERSE_DNS),
    SAYS(0, TALKING, "reverse hostname", CAUSE_REVERSE_DNS),
    SAYS(0, TALKING, "ptr record", CAUSE_REVERSE_DNS),
    SAYS(0, TALKING, "rdns", CAUSE_REVERSE_DNS),
    SAYS(0, TALKING, "cannot find your hostname", CAUSE_REVERSE_DNS),

    /* rate limits: Gmail 4.2.1, 4.7.28, Yahoo [TSS04], Outlook [RB..], Apple */
    STATUS(0, 7, 28, CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "[ts", CAUSE_RATE_LIMITED),
    SAYS(0, TALKING, "rate limit", CAUSE_RATE_LIMITED),
    SAYS(0, TALKING, "rate that", CAUSE_RATE_LIMITED),      /* "receiving mail at a rate that prevents..." */
    SAYS(0, TALKING, "unusual rate", CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "too many messages", CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "too many connections", CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "too many concurrent", CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "throttl", CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "try again slower", CAUSE_RATE_LIMITED),
    SAYS(4, TALKING, "user complaints", CAUSE_REPUTATION),
    SAYS(4, TALKING, "exceeded the maximum number of", CAUSE_RATE_LIMITED),

    /* block lists: Outlook [S3140] and [S3150], Spamhaus and others */
    SAYS(0, TALKING, "spamhaus", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "spamcop", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "barracuda", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "sorbs", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "abusix", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "proofpoint.com/ipcheck", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "blocked using", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "block list", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "blocklist", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "blacklist", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "black list", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "dnsbl", CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "banned sending ip", CAUSE_BLOCKLISTED), /* Outlook 5.7.511 */
    SAYS(0, TALKING, "[s31", CAUSE_BLOCKLISTED),
    STATUS(0, 7, 511, CAUSE_BLOCKLISTED),
    SAYS(0, TALKING, "reputation", CAUSE_REPUTATION),
    SAYS(0, TALKING, "delisting", CAUSE_BLOCKLISTED),

    /* what is in the message */
    SAYS(0, TALKING, "virus", CAUSE_VIRUS),
    SAYS(0, TALKING, "malware", CAUSE_VIRUS),
    SAYS(0, TALKING, "phish", CAUSE_VIRUS),
    SAYS(0, TALKING, "attachment type", CAUSE_ATTACHMENT),
    SAYS(0, TALKING, "blocked attachment", CAUSE_ATTACHMENT),
    SAYS(0, TALKING, "presents a potential security issue", CAUSE_ATTACHMENT), /* Gmail 5.7.0 */
    SAYS(0, TALKING, "spam", CAUSE_SPAM),
    SAYS(0, TALKING, "unsolicited", CAUSE_SPAM),
    SAYS(0, TALKING, "junk mail", CAUSE_SPAM),
    SAYS(0, TALKING, "content rejected", CAUSE_SPAM),

    /* statuses that mean one thing */
    STATUS(0, 1, 1, CAUSE_NO_MAILBOX),
    STATUS(0, 1, 3, CAUSE_ADDRESS_SYNTAX),
    STATUS(0, 1, 6, CAUSE_MAILBOX_DISABLED),                /* has moved, no forwarding address */
    STATUS(0, 1, 7, CAUSE_SENDER_REFUSED),
    STATUS(0, 1, 8, CAUSE_SENDER_REFUSED),
    STATUS(0, 2, 2, CAUSE_MAILBOX_FULL),
    STATUS(0, 2, 3, CAUSE_TOO_LARGE),
    STATUS(0, 3, 1, CAUSE_SERVER_FULL),
    STATUS(0, 3, 4, CAUSE_TOO_LARGE),
    STATUS(5, 1, 0, CAUSE_NO_MAILBOX),
    STATUS(0, 5, 3, CAUSE_TOO_MANY_RECIPIENTS),
    STATUS(0, 6, 7, CAUSE_NOT_SUPPORTED),                   /* RFC 6531 §3.5: no SMTPUTF8 */
    STATUS(0, 6, 3, CAUSE_NOT_SUPPORTED),                   /* RFC 6152: no 8BITMIME */
    STATUS(0, 6, 9, CAUSE_NOT_SUPPORTED),

    /* words without a telling status */
    SAYS(0, TALKING, "quota", CAUSE_MAILBOX_FULL),
    SAYS(0, TALKING, "mailbox full", CAUSE_MAILBOX_FULL),
    SAYS(0, TALKING, "mailbox is full", CAUSE_MAILBOX_FULL),
    SAYS(0, TALKING, "out of storage", CAUSE_MAILBOX_FULL),
    SAYS(0, TALKING, "storage space", CAUSE_MAILBOX_FULL),
    SAYS(5, TALKING, "user unknown", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "unknown user", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "unknown recipient", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "recipient unknown", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "no such user", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "no such recipient", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "no mailbox", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "mailbox not found", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "mailbox unavailable", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "recipient not found", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "invalid recipient", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "does not exist", CAUSE_NO_MAILBOX),
    SAYS(5, TALKING, "doesn't have a", CAUSE_NO_MAILBOX),   /* Yahoo: "This user doesn't have a yahoo.com account" */
    SAYS(5, TALKING, "address rejected", CAUSE_NO_MAILBOX),
    SAYS(0, TALKING, "account is disabled", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "account disabled", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "mailbox disabled", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "account has been disabled", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "suspended", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "inactive", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "deactivated", CAUSE_MAILBOX_DISABLED),
    SAYS(0, TALKING, "not accepting messages", CAUSE_MAILBOX_DISABLED),
    STATUS(5, 2, 1, CAUSE_MAILBOX_DISABLED),
    STATUS(4, 2, 1, CAUSE_RATE_LIMITED),                    /* Gmail: "receiving mail too quickly" */
    SAYS(0, TALKING, "relay", CAUSE_RELAY_DENIED),          /* "relaying denied", "relay access denied", "unable to relay" */
    SAYS(0, TALKING, "starttls", CAUSE_TLS_WANTED),
    SAYS(0, TALKING, "encryption required", CAUSE_TLS_WANTED),
    SAYS(0, TALKING, "too large", CAUSE_TOO_LARGE),
    SAYS(0, TALKING, "too big", CAUSE_TOO_LARGE),
    SAYS(0, TALKING, "size limit", CAUSE_TOO_LARGE),
    SAYS(0, TALKING, "exceeds the maximum", CAUSE_TOO_LARGE),
    SAYS(0, TALKING, "too many recipients", CAUSE_TOO_MANY_RECIPIENTS),
    STATUS(0, 7, 2, CAUSE_RESTRICTED),
    SAYS(5, ADDRESSED, "not authorized", CAUSE_RESTRICTED),
    SAYS(5, ADDRESSED, "restricted", CAUSE_RESTRICTED),
    SAYS(5, TALKING, "members only", CAUSE_RESTRICTED),
    SAYS(0, AT(STAGE_MAIL) | ADDRESSED, "sender address", CAUSE_SENDER_REFUSED),
    SAYS(0, AT(STAGE_MAIL) | ADDRESSED, "sender rejected", CAUSE_SENDER_REFUSED),
    SAYS(0, AT(STAGE_MAIL) | ADDRESSED, "domain of sender", CAUSE_SENDER_REFUSED),
    SAYS(0, AT(STAGE_MAIL) | ADDRESSED, "sender domain", CAUSE_SENDER_REFUSED),

    /* what our own server says */
    STAGE(0, AT(STAGE_MAILBOX), CAUSE_OWN_MAILBOX),
    { 0, 3, ANY, NO_REPLY, ANYWHERE, { NULL, 0 }, CAUSE_OWN_TROUBLE },
    STATUS(0, 4, 1, CAUSE_NO_ANSWER),
    STATUS(0, 4, 2, CAUSE_CONNECTION_LOST),
    STATUS(0, 4, 3, CAUSE_DNS),
    STATUS(0, 4, 5, CAUSE_BUSY),
    STATUS(0, 4, 7, CAUSE_EXPIRED),
    STATUS(0, 4, ANY, CAUSE_NO_ANSWER),

    /* wholes of RFC 3463, codes of RFC 5321 §4.2.3, stages */
    STATUS(5, 7, ANY, CAUSE_POLICY),
    STATUS(0, 5, ANY, CAUSE_PROTOCOL),
    STATUS(0, 6, ANY, CAUSE_NOT_SUPPORTED),
    STATUS(0, 3, ANY, CAUSE_SERVER_TROUBLE),
    CODE(552, AT(STAGE_MAIL) | AT(STAGE_DATA) | AT(STAGE_CONTENT), CAUSE_TOO_LARGE),
    CODE(552, ANYWHERE, CAUSE_MAILBOX_FULL),
    CODE(550, ADDRESSED, CAUSE_NO_MAILBOX),
    CODE(551, ADDRESSED, CAUSE_NO_MAILBOX),
    CODE(553, ADDRESSED, CAUSE_NO_MAILBOX),
    CODE(553, AT(STAGE_MAIL), CAUSE_SENDER_REFUSED),
    CODE(556, ANYWHERE, CAUSE_NULL_MX),
    CODE(521, ANYWHERE, CAUSE_NULL_MX),
    CODE(530, ANYWHERE, CAUSE_POLICY),
    CODE(452, ANYWHERE, CAUSE_SERVER_FULL),
    CODE(451, ANYWHERE, CAUSE_SERVER_TROUBLE),
    CODE(421, ANYWHERE, CAUSE_BUSY),
    CODE(554, BEFORE_MAIL, CAUSE_REPUTATION),
    CODE(554, AT(STAGE_CONTENT), CAUSE_POLICY),
    CODE(550, AT(STAGE_CONTENT), CAUSE_POLICY),
    CODE(500, ANYWHERE, CAUSE_PROTOCOL),
    CODE(501, ANYWHERE, CAUSE_PROTOCOL),
    CODE(502, ANYWHERE, CAUSE_PROTOCOL),
    CODE(503, ANYWHERE, CAUSE_PROTOCOL),
    STAGE(4, AT(STAGE_GREETING) | AT(STAGE_EHLO), CAUSE_BUSY),
    STAGE(0, AT(STAGE_CONNECT), CAUSE_NO_ANSWER),
    STAGE(5, AT(STAGE_POLICY), CAUSE_POLICY),
};
/* clang-format on */

static bool contains_nocase(slice text, slice phrase)
{
    for (size_t at = 0; at + phrase.len <= text.len; at++)
        if (slice_starts_with_nocase(slice_tail(text, at), phrase))
            return true;
    return false;
}

static unsigned class_of(const struct outcome *o)
{
    unsigned class = o->status.class ? o->status.class : o->reply_code / 100;
    return class ? class : o->action == ACTION_FAILED ? 5 : 4;
}

static bool rule_fits(const struct rule *rule, const struct outcome *o)
{
    enum { SEARCHED_MAX = 2048 };
    if ((rule->class && rule->class != class_of(o)) || (rule->stages && !(rule->stages & AT(o->stage))) ||
        (rule->code && rule->code != (o->reply_code ? o->reply_code : NO_REPLY)))
        return false;
    if (rule->subject != ANY && (o->status.class == 0 || rule->subject != o->status.subject))
        return false;
    if (rule->detail != ANY && rule->detail != o->status.detail)
        return false;
    return rule->phrase.len == 0 || contains_nocase(slice_head(o->text, SEARCHED_MAX), rule->phrase);
}

enum cause cause_find(const struct outcome *o)
{
    for (size_t i = 0; i < COUNT(rules); i++)
        if (rule_fits(&rules[i], o))
            return rules[i].cause;
    return class_of(o) == 5 ? CAUSE_OTHER_PERMANENT : CAUSE_OTHER_TRANSIENT;
}

const struct advice *advice_of(enum cause cause) { return &advices[cause]; }
