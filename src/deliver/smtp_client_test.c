#include "deliver/fake_peers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h> /* wants the others before it */
/*
 * What the client says and what it makes of every answer: a row is a dialogue (the language of fake_peers.h) and the
 * outcomes that the schedule must hear.
 */
#define HELLO        ">220 mx.test ESMTP\n<EHLO us.test\n"
#define PLAIN_SERVER HELLO ">250 mx.test\n"
#define FAST_SERVER  HELLO ">250-mx.test\n>250 PIPELINING\n"
#define MAIL         "<MAIL FROM:<me@us.test>\n"
#define RCPT(x)      "<RCPT TO:<" x "@there.test>\n"
#define GROUP        MAIL RCPT("a") "<DATA\n"
#define OK           ">250 2.1.0 ok\n"
#define GO           ">354 go\n"
#define TAKEN        ">250 2.0.0 taken\n"
#define BYE          "<QUIT\n>221 bye\nCLOSE\n"
#define X10          "xxxxxxxxxx"
#define CONTENT      "Subject: x\r\n\r\nbody\r\n"

struct dialogue {
    const char *name, *recipients; /* "12": two messages, of one and of two recipients */
    const char *script, *log;
    const char *content; /* NULL: CONTENT */
    unsigned opens_max;  /* 0: 1 */
    bool is_lmtp, load_later;
    enum destination_tls tls;
    const char *username;
    uint64_t messages_per_connection;
    size_t file_octets; /* the content comes from a file of so many octets */
};
/* clang-format off: a table */
static const struct dialogue dialogues[] = {
    { "one message, one command at a time", "1",
      PLAIN_SERVER MAIL "?\n" OK RCPT("a") "?\n" OK "<DATA\n?\n" GO "@20\n?\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "two recipients and a second message, one command at a time", "21",
      PLAIN_SERVER MAIL OK RCPT("a") OK RCPT("b") OK "<DATA\n" GO "@\n?\n" TAKEN MAIL OK RCPT("a") OK "<DATA\n" GO
                                                                                                      "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n1.2 relayed content 2.0.0 250 taken\n2.1 relayed content 2.0.0 250 "
      "taken\nend usable\n" },
    { "pipelined: the next message's commands stand behind the content", "111",
      FAST_SERVER MAIL "&\n" RCPT("a") "&\n<DATA\n?\n" OK OK GO "@20\n&\n" GROUP TAKEN OK OK GO
                                       "@20\n&\n" GROUP TAKEN OK OK GO "@20\n?\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n2.1 relayed content 2.0.0 250 taken\n3.1 relayed content 2.0.0 250 "
      "taken\nend usable\n" },
    { "content that comes from the disk later", "11",
      FAST_SERVER GROUP OK OK GO "@20\n" GROUP TAKEN OK OK GO "@20\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n2.1 relayed content 2.0.0 250 taken\nend usable\n", .load_later = true },
    { "dots are doubled, a bare LF becomes CRLF, the last line is ended", "1",
      FAST_SERVER GROUP OK OK GO "<..line\n<..\n<x\n@3\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n", .content = ".line\r\n.\r\nx\ny" },
    { "a server with DSN says more later", "1",
      HELLO ">250-mx.test\n>250-DSN\n>250 SIZE 1000\n<MAIL FROM:<me@us.test> SIZE=20\n" OK
            "<RCPT TO:<a@there.test>\n" OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 delivered content 2.0.0 250 taken\nend usable\n" },
    { "too large for the server", "1", HELLO ">250-mx.test\n>250 SIZE 19\n" BYE,
      "1.1 failed mail 5.3.4 0 the message has 20 octets; 127.0.0.1 takes no more than 19\nend usable\n" },
    { "SIZE without a number is no limit", "1",
      HELLO ">250-mx.test\n>250 SIZE\n<MAIL FROM:<me@us.test> SIZE=20\n>452 4.3.1 full\n" BYE,
      "1.1 delayed mail 4.3.1 452 full\nend usable\n" },
    { "HELO for a server that does not know EHLO", "1",
      ">220 old\n<EHLO us.test\n>500 what\n<HELO us.test\n>250 old\n" MAIL OK RCPT("a") OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "messages for each connection", "111",
      FAST_SERVER GROUP OK OK GO "@\n" GROUP TAKEN OK OK GO "@\n?\n" TAKEN BYE "NEXT\n" FAST_SERVER GROUP OK OK GO
                                 "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n2.1 relayed content 2.0.0 250 taken\nend usable\n3.1 relayed content 2.0.0 "
      "250 taken\nend usable\n",
      .messages_per_connection = 2, .opens_max = 2 },

    /* large content: piece by piece from its file */
    { "from a file", "11", FAST_SERVER GROUP OK OK GO "@3000000\n" GROUP TAKEN OK OK GO "@3000000\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n2.1 relayed content 2.0.0 250 taken\nend usable\n",
      .file_octets = 3000000 },
    { "from a file, over TLS", "1",
      HELLO
      ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 PIPELINING\n" GROUP OK OK
          GO "@3000000\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n", .file_octets = 3000000,
      .tls = DESTINATION_TLS_REQUIRED },
    { "a shorter file than was said: no final dot", "1", FAST_SERVER GROUP OK OK GO "WAIT\n",
      "1.1 delayed content 4.3.0 0 the message could not be read from the spool\nend usable\n", .file_octets = 1 },
    { "refused before its end", "1", FAST_SERVER GROUP OK OK "DEAF\n" GO ">552 5.3.4 enough\nWAIT\n",
      "1.1 failed content 5.3.4 552 enough\nend usable\n", .file_octets = 30000000 },
    { "welcomed before its end", "1", FAST_SERVER GROUP OK OK "DEAF\n" GO TAKEN "WAIT\n",
      "1.1 delayed content 4.5.0 250 taken\nend usable\n", .file_octets = 30000000 },
    { "the server stops reading", "1", FAST_SERVER GROUP OK OK GO "DEAF\nWAIT\n",
      "1.1 delayed content 4.4.2 0 no progress in sending the message to 127.0.0.1 within 500 milliseconds\nend "
      "usable\n",
      .file_octets = 30000000 },
    { "broken off in the middle", "1",
      FAST_SERVER GROUP OK OK GO "<" X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxxxx\nRESET\n",
      "1.1 delayed content 4.4.2 0 the connection was lost while sending the message: *end usable\n",
      .file_octets = 30000000 },

    /* refusals before the first message: the destination's */
    { "greeting 554", "1", ">554 5.7.1 not you\n<QUIT\n", "end unusable delayed greeting 4.7.1 554 not you\n" },
    { "greeting 421", "1", ">421 later\nCLOSE\n", "end unusable delayed greeting 4.3.2 421 later\n" },
    { "greeting is not SMTP", "1", ">hello\nWAIT\n",
      "end unusable delayed greeting 4.5.0 0 the greeting of 127.0.0.1 is not SMTP\n" },
    { "greeting is an answer to something else", "1", ">354 go\n<QUIT\n",
      "end unusable delayed greeting 4.5.0 354 go\n" },
    { "no greeting", "1", "CLOSE\n",
      "end unusable delayed greeting 4.4.2 0 the connection was lost while waiting for the greeting: the server closed "
      "it\n" },
    { "EHLO 451", "1", HELLO ">451 4.7.1 slow down\n<QUIT\n", "end unusable delayed ehlo 4.7.1 451 slow down\n" },
    { "EHLO and HELO 5xx", "1", HELLO ">550 no\n<HELO us.test\n>550 never\n<QUIT\n",
      "end unusable delayed ehlo 4.0.0 550 never\n" },
    { "closed after EHLO", "1", HELLO "CLOSE\n",
      "end unusable delayed ehlo 4.4.2 0 the connection was lost while waiting for the reply to EHLO: the server "
      "closed it\n" },
    { "broken off after EHLO", "1", HELLO "RESET\n",
      "end unusable delayed ehlo 4.4.2 0 the connection was lost while waiting for the reply to EHLO: connection reset "
      "by the peer\n" },
    { "silence after EHLO", "1", HELLO "WAIT\n",
      "end unusable delayed ehlo 4.4.2 0 no sign of the reply to EHLO from 127.0.0.1 within 500 milliseconds\n" },
    { "EHLO reply drips in", "1", HELLO "DRIP 250 abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\nWAIT\n",
      "end unusable delayed ehlo 4.4.2 0 no sign of the reply to EHLO from 127.0.0.1 within 500 milliseconds\n" },
    { "EHLO reply without end", "1", HELLO ">>250-\nFLOOD 100000\nWAIT\n",
      "end unusable delayed ehlo 4.5.0 0 the reply to EHLO of 127.0.0.1 is not SMTP\n" },
    { "NUL in the greeting", "1", "NUL\n>220 x\nWAIT\n",
      "end unusable delayed greeting 4.5.0 0 the greeting of 127.0.0.1 is not SMTP\n" },

    /* refusals of a message */
    { "MAIL 550", "11",
      PLAIN_SERVER MAIL ">550 5.7.1 go away\n<RSET\n" OK MAIL OK RCPT("a") OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 failed mail 5.7.1 550 go away\n2.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "MAIL 450", "2", PLAIN_SERVER MAIL ">450 wait\n" BYE,
      "1.1 delayed mail 4.2.0 450 wait\n1.2 delayed mail 4.2.0 450 wait\nend usable\n" },
    { "MAIL 550, pipelined", "21",
      FAST_SERVER MAIL RCPT("a") RCPT("b") "<DATA\n>550 5.7.1 go away\n>503 5.5.1 no\n>503 5.5.1 no\n>503 5.5.1 no\n"
                                           "<RSET\n&\n" GROUP OK OK OK GO "@\n" TAKEN BYE,
      "1.1 failed mail 5.7.1 550 go away\n1.2 failed mail 5.7.1 550 go away\n2.1 relayed content 2.0.0 250 taken\nend "
      "usable\n" },
    { "one RCPT 550 of two", "2",
      PLAIN_SERVER MAIL OK RCPT("a") ">550 5.1.1 who\n" RCPT("b") OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 failed rcpt 5.1.1 550 who\n1.2 relayed content 2.0.0 250 taken\nend usable\n" },
    { "RCPT 251", "1", PLAIN_SERVER MAIL OK RCPT("a") ">251 forwarding\n<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "all RCPT refused", "2", PLAIN_SERVER MAIL OK RCPT("a") ">450 4.2.1 busy\n" RCPT("b") ">550 5.1.1 who\n" BYE,
      "1.1 delayed rcpt 4.2.1 450 busy\n1.2 failed rcpt 5.1.1 550 who\nend usable\n" },
    { "all RCPT refused, pipelined, DATA refused", "11",
      FAST_SERVER GROUP OK ">550 5.1.1 who\n>554 5.5.1 no recipients\n<RSET\n&\n" GROUP OK OK OK GO "@\n" TAKEN BYE,
      "1.1 failed rcpt 5.1.1 550 who\n2.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "all RCPT refused, pipelined, DATA accepted: a lone dot", "11",
      FAST_SERVER GROUP OK ">550 5.1.1 who\n" GO "@0\n?\n>554 5.5.1 nothing\n<RSET\n" GROUP OK OK OK GO "@\n" TAKEN BYE,
      "1.1 failed rcpt 5.1.1 550 who\n2.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "552 to RCPT is too many recipients", "2",
      PLAIN_SERVER MAIL OK RCPT("a") OK RCPT("b") ">552 too many recipients\n<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n1.2 delayed rcpt 4.5.3 552 too many recipients\nend usable\n" },
    { "552 to RCPT with a status is what the status says", "1",
      PLAIN_SERVER MAIL OK RCPT("a") ">552 5.2.2 over quota\n" BYE,
      "1.1 failed rcpt 5.2.2 552 over quota\nend usable\n" },
    { "DATA 451", "2", FAST_SERVER MAIL RCPT("a") RCPT("b") "<DATA\n" OK OK ">550 5.1.1 who\n>451 4.3.0 disk\n" BYE,
      "1.1 delayed data 4.3.0 451 disk\n1.2 failed rcpt 5.1.1 550 who\nend usable\n" },
    { "DATA 250", "1", FAST_SERVER GROUP OK OK OK "WAIT\n", "1.1 delayed data 4.5.0 250 ok\nend usable\n" },
    { "content 554", "11", FAST_SERVER GROUP OK OK GO "@\n" GROUP ">554 5.7.1 spam\n" OK OK GO "@\n" TAKEN BYE,
      "1.1 failed content 5.7.1 554 spam\n2.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "an enhanced status that contradicts the code", "1", FAST_SERVER GROUP OK OK GO "@\n>550 4.2.0 confused\n" BYE,
      "1.1 failed content 5.0.0 550 4.2.0 confused\nend usable\n" },
    { "many lines", "1", FAST_SERVER GROUP OK ">550-5.1.1 first\n>550-5.1.1 second\n>550 5.1.1 third\n>503 no\n" BYE,
      "1.1 failed rcpt 5.1.1 550 first\nsecond\nthird\nend usable\n" },

    /* the connection breaks */
    { "421 to MAIL of the first message", "11", PLAIN_SERVER MAIL ">421 4.3.2 shutting down\nCLOSE\n",
      "1.1 delayed mail 4.3.2 421 shutting down\nend usable\n" },
    { "421 to the second RCPT", "2", FAST_SERVER MAIL RCPT("a") RCPT("b") "<DATA\n" OK OK ">421 4.3.2 bye\nCLOSE\n",
      "1.1 delayed rcpt 4.3.2 421 bye\n1.2 delayed rcpt 4.3.2 421 bye\nend usable\n" },
    { "421 after a message was taken", "11",
      PLAIN_SERVER MAIL OK RCPT("a") OK
      "<DATA\n" GO "@\n" TAKEN MAIL ">421 4.7.0 enough for one connection\nCLOSE\nNEXT\n" PLAIN_SERVER MAIL OK RCPT("a")
          OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n2.1 none none 0.0.0 0 \nend usable\n2.1 relayed content 2.0.0 250 "
      "taken\nend usable\n",
      .opens_max = 2 },
    { "lost at MAIL of the first message", "1", PLAIN_SERVER MAIL "RESET\n",
      "1.1 delayed mail 4.4.2 0 the connection was lost while waiting for the reply to MAIL: connection reset by the "
      "peer\nend usable\n" },
    { "lost at RCPT", "1", FAST_SERVER GROUP OK "CLOSE\n",
      "1.1 delayed rcpt 4.4.2 0 the connection was lost while waiting for the reply to RCPT: the server closed it\nend "
      "usable\n" },
    { "lost at DATA: what RCPT refused stays refused", "2",
      FAST_SERVER MAIL RCPT("a") RCPT("b") "<DATA\n" OK ">550 5.1.1 who\n" OK "CLOSE\n",
      "1.1 failed rcpt 5.1.1 550 who\n"
      "1.2 delayed data 4.4.2 0 the connection was lost while waiting for the reply to DATA: the server closed it\nend "
      "usable\n" },
    { "lost after the final dot of the first message", "11", FAST_SERVER GROUP OK OK GO "@\n" GROUP "CLOSE\n",
      "1.1 delayed content 4.4.2 0 the connection was lost while waiting for the reply to the whole message: the "
      "server closed it\n"
      "2.1 delayed content 4.4.2 0 the connection was lost while waiting for the reply to the whole message: the "
      "server closed it\nend usable\n" },
    { "lost after the final dot of the second: the third was not touched", "111",
      FAST_SERVER GROUP OK OK GO "@\n" GROUP TAKEN OK OK GO "@\n" GROUP "CLOSE\nNEXT\n" FAST_SERVER GROUP OK OK GO
                                 "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n"
      "2.1 delayed content 4.4.2 0 the connection was lost while waiting for the reply to the whole message: the "
      "server closed it\n"
      "3.1 none none 0.0.0 0 \nend usable\n3.1 relayed content 2.0.0 250 taken\nend usable\n",
      .opens_max = 2 },
    { "closed between the reply and the next message's", "11",
      FAST_SERVER GROUP OK OK GO "@\n" GROUP TAKEN "CLOSE\nNEXT\n" FAST_SERVER GROUP OK OK GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\n2.1 none none 0.0.0 0 \nend usable\n2.1 relayed content 2.0.0 250 "
      "taken\nend usable\n",
      .opens_max = 2 },
    { "silence after the final dot", "1", FAST_SERVER GROUP OK OK GO "@\nWAIT\n",
      "1.1 delayed content 4.4.2 0 no sign of the reply to the whole message from 127.0.0.1 within 500 "
      "milliseconds\nend usable\n" },
    { "nonsense in the middle", "1", FAST_SERVER GROUP OK ">nonsense\nWAIT\n",
      "1.1 delayed rcpt 4.5.0 0 the reply to RCPT of 127.0.0.1 is not SMTP\nend usable\n" },
    { "an idle connection is closed by the server: not an error", "1",
      FAST_SERVER GROUP OK OK GO "@\n" TAKEN ">421 idle\nCLOSE\n",
      "1.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "more replies than commands", "1", FAST_SERVER GROUP OK OK GO "@\n" TAKEN TAKEN "WAIT\n",
      "1.1 relayed content 2.0.0 250 taken\nend usable\n" },
    { "no reply to QUIT", "1", FAST_SERVER GROUP OK OK GO "@\n" TAKEN "<QUIT\nWAIT\n",
      "1.1 relayed content 2.0.0 250 taken\nend usable\n" },

    /* LMTP */
    { "LMTP: a reply for each recipient that was accepted", "31",
      ">220 lmtp\n<LHLO us.test\n>250-mx.test\n>250 PIPELINING\n" MAIL RCPT("a") RCPT("b")
          RCPT("c") "<DATA\n" OK OK ">550 5.1.1 who\n" OK GO "@\n&\n" GROUP
                    ">250 2.0.0 for a\n>452 4.2.2 c is full\n" OK OK GO "@\n" TAKEN BYE,
      "1.1 delivered content 2.0.0 250 for a\n1.2 failed rcpt 5.1.1 550 who\n1.3 delayed content 4.2.2 452 c is full\n"
      "2.1 delivered content 2.0.0 250 taken\nend usable\n",
      .is_lmtp = true },
    { "LMTP: lost between two replies", "2",
      ">220 lmtp\n<LHLO us.test\n>250 mx.test\n" MAIL OK RCPT("a") OK RCPT("b") OK "<DATA\n" GO
                                                                                   "@\n>250 2.0.0 for a\nCLOSE\n",
      "1.1 delivered content 2.0.0 250 for a\n1.2 delayed content 4.4.2 0 the connection was lost while waiting for "
      "the reply to the whole "
      "message: the server closed it\nend usable\n",
      .is_lmtp = true },
    { "LMTP: no HELO instead", "1", ">220 x\n<LHLO us.test\n>500 what\n<QUIT\n",
      "end unusable delayed ehlo 4.5.2 500 what\n", .is_lmtp = true },

    /* TLS and sign-in */
    { "TLS wanted but not offered", "1", PLAIN_SERVER "CLOSE\n",
      "end unusable delayed starttls 4.7.4 0 this route needs TLS, but STARTTLS is not offered by 127.0.0.1\n",
      .tls = DESTINATION_TLS_REQUIRED },
    { "TLS where it is offered, else none", "1", FAST_SERVER GROUP OK OK GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n", .tls = DESTINATION_TLS_OPPORTUNISTIC },
    { "454 to STARTTLS: in clear where the route allows it", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n?\n>454 4.7.0 not now\n" MAIL OK RCPT("a") OK "<DATA\n" GO
                                                                                                   "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n", .tls = DESTINATION_TLS_OPPORTUNISTIC },
    { "454 to STARTTLS: not where it does not", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>454 4.7.0 not now\n<QUIT\n",
      "end unusable delayed starttls 4.7.0 454 not now\n", .tls = DESTINATION_TLS_REQUIRED },
    { "STARTTLS over", "11",
      HELLO
      ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 PIPELINING\n" GROUP OK OK
          GO "@20\n" GROUP TAKEN OK OK GO "<..dot\n@0\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken (TLS)\n2.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n",
      .tls = DESTINATION_TLS_OPPORTUNISTIC },
    { "no handshake behind STARTTLS: again in clear", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\n>what is this\nWAIT\nNEXT\n" HELLO
            ">250-mx.test\n>250-STARTTLS\n>250 PIPELINING\n" GROUP OK OK GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n", .tls = DESTINATION_TLS_OPPORTUNISTIC },
    { "closed behind STARTTLS: again in clear", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\nCLOSE\nNEXT\n" FAST_SERVER GROUP OK OK GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken\nend usable\n", .tls = DESTINATION_TLS_OPPORTUNISTIC },
    { "what was said before TLS counts no more", "1",
      HELLO ">250-mx.test\n>250-PIPELINING\n>250 STARTTLS\n<STARTTLS\n>>220 go^250-injected^250 "
            "PIPELINING^\nTLS\n<EHLO us.test\n>250 mx.test\n" MAIL "?\n" OK RCPT("a") OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n", .tls = DESTINATION_TLS_REQUIRED },
    { "TLS at once", "1", "TLS\n>220 mx.test\n<EHLO us.test\n>250 PIPELINING\nWAIT\n",
      "end unusable delayed tls 4.7.5 0 no TLS with 127.0.0.1: *\n", .tls = DESTINATION_TLS_IMPLICIT },
    { "sign-in, PLAIN", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 AUTH LOGIN PLAIN\n"
            "<AUTH PLAIN AHVzZXIAc2VjcmV0\n>235 2.7.0 ok\n" MAIL OK RCPT("a") OK "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n", .tls = DESTINATION_TLS_REQUIRED, .username = "user" },
    { "sign-in, LOGIN", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 AUTH LOGIN\n"
            "<AUTH LOGIN\n>334 VXNlcm5hbWU6\n<dXNlcg==\n>334 UGFzc3dvcmQ6\n<c2VjcmV0\n>235 ok\n" MAIL OK RCPT("a") OK
      "<DATA\n" GO "@\n" TAKEN BYE,
      "1.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n", .tls = DESTINATION_TLS_REQUIRED, .username = "user" },
    { "sign-in refused: the mail waits", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 AUTH PLAIN\n"
            "<AUTH PLAIN AHVzZXIAc2VjcmV0\n>535 5.7.8 wrong\n<QUIT\n",
      "end unusable delayed auth 4.7.8 535 wrong (TLS)\n", .tls = DESTINATION_TLS_REQUIRED, .username = "user" },
    { "sign-in with challenges without end", "1",
      HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 AUTH PLAIN\n"
            "<AUTH PLAIN AHVzZXIAc2VjcmV0\n>334 \n<*\n>501 5.5.2 cancelled\n<QUIT\n",
      "end unusable delayed auth 4.5.2 501 cancelled (TLS)\n", .tls = DESTINATION_TLS_REQUIRED, .username = "user" },
    { "nothing to sign in with", "1",
      HELLO
      ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n<EHLO us.test\n>250-mx.test\n>250 AUTH GSSAPI\n<QUIT\n",
      "end unusable delayed auth 4.7.0 0 no way to sign in (PLAIN or LOGIN) is offered by 127.0.0.1 (TLS)\n",
      .tls = DESTINATION_TLS_REQUIRED, .username = "user" },
    { "no password without TLS, even where TLS may be missing", "1", HELLO ">250-mx.test\n>250 AUTH PLAIN\nCLOSE\n",
      "end unusable delayed starttls 4.7.4 0 this route needs TLS, but STARTTLS is not offered by 127.0.0.1\n",
      .tls = DESTINATION_TLS_OPPORTUNISTIC, .username = "user" },
    { "no password where the route has no TLS", "1", HELLO ">250-mx.test\n>250 AUTH PLAIN\nCLOSE\n",
      "end unusable delayed auth 4.7.11 0 the password is not sent without TLS: this route signs in, but its TLS is "
      "off\n",
      .username = "user" },
};
/* clang-format on */

static struct text certificate, key;

static void give_certificate(struct world *w)
{
    struct text error = { 0 };
    if (certificate.len == 0)
        assert_true(tls_make_self_signed(SLICE("mx.test"), &certificate, &key, &error));
    w->server_tls = tls_server_new(&(struct tls_server_params){ text_slice(&certificate), text_slice(&key) }, &error);
    assert_non_null(w->server_tls);
    text_free(&error);
}

/* Lines of 98 octets and CRLF. One octet: an empty file that is said to have one. */
static void give_file(struct fake_message *m, size_t octets)
{
    m->fd = memfd_create("content", MFD_CLOEXEC);
    m->message.content_octets = octets;
    if (octets == 1)
        return;
    struct text lines = { 0 };
    char *to = text_reserve(&lines, octets);
    assert_int_equal(octets % 100, 0);
    for (size_t i = 0; i < octets; i++)
        to[i] = i % 100 == 98 ? '\r' : i % 100 == 99 ? '\n' : 'x';
    assert_int_equal(write(m->fd, to, octets), octets);
    text_free(&lines);
}

static void run_dialogue(void **state)
{
    const struct dialogue *row = *state;
    bool waits = strstr(row->log, "500 milliseconds"); /* the others must not fail on a busy machine */
    struct deliver_params params = { .hostname = SLICE("us.test"), .connect_timeout_ms = SECONDS(20), .idle_ms = 30 };
    params.reply_timeout_ms = waits ? 500 : SECONDS(20);
    struct world w;
    world_new(&w, row->script, &params);
    if (row->tls != DESTINATION_TLS_NONE)
        give_certificate(&w);
    for (const char *count = row->recipients; *count; count++) {
        bool is_last_of_two = count > row->recipients && !count[1] && row->tls != DESTINATION_TLS_NONE;
        slice content = row->content     ? slice_from_cstr(row->content)
                        : is_last_of_two ? SLICE(".dot\r\n")
                                         : SLICE(CONTENT);
        struct fake_message *m = world_add_message(&w, (size_t)(*count - '0'), content);
        if (row->file_octets)
            give_file(m, row->file_octets);
    }
    w.opens_max = row->opens_max ? row->opens_max : 1;
    w.load_later = row->load_later;
    w.destination.kind = row->is_lmtp ? DESTINATION_LMTP : DESTINATION_HOST;
    w.destination.tls = row->tls;
    w.destination.username = slice_from_cstr(row->username);
    w.destination.password = row->username ? SLICE("secret") : (slice){ 0 };
    w.destination.messages_per_connection = row->messages_per_connection;
    world_run(&w);
    world_assert_log(&w, row->name, row->log);
    world_free(&w);
}

/* The certificate has the host's name and an authority that the route trusts, or not. */
static void verified(void **state)
{
    (void)state;
    static const struct fake_name names[] = { { "mx.test", DNS_OK, NULL, "127.0.0.1" },
                                              { "other.test", DNS_OK, NULL, "127.0.0.1" },
                                              { NULL } };
    static const struct {
        const char *host;
        bool is_trusted, is_implicit;
        const char *log;
    } rows[] = {
        { "mx.test", true, false, "1.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n" },
        { "mx.test", true, true, "1.1 relayed content 2.0.0 250 taken (TLS)\nend usable\n" },
        { "other.test", true, false, "end unusable delayed tls 4.7.5 0 no TLS with other.test: *\n" },
        { "other.test", true, true, "end unusable delayed tls 4.7.5 0 no TLS with other.test: *\n" },
        { "mx.test", false, false, "end unusable delayed tls 4.7.5 0 no TLS with mx.test: *\n" },
    };
    fake_names = names;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world w;
        const char *rest = "<EHLO us.test\n>250-mx.test\n>250 PIPELINING\n" GROUP OK OK GO "@\n" TAKEN BYE;
        char script[1000];
        snprintf(script, sizeof(script), "%s%s",
                 rows[i].is_implicit ? "TLS\n>220 mx.test\n"
                                     : HELLO ">250-mx.test\n>250 STARTTLS\n<STARTTLS\n>220 go\nTLS\n",
                 rest);
        world_new(&w, script, NULL);
        give_certificate(&w);
        world_add_message(&w, 1, SLICE(CONTENT));
        w.destination.host = slice_from_cstr(rows[i].host);
        w.destination.tls = rows[i].is_implicit ? DESTINATION_TLS_IMPLICIT : DESTINATION_TLS_VERIFIED;
        w.destination.ca_pem = rows[i].is_trusted ? text_slice(&certificate) : (slice){ 0 };
        world_run(&w);
        world_assert_log(&w, rows[i].host, rows[i].log);
        world_free(&w);
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(dialogues) + 1];
    tests[COUNT(dialogues)] = (struct CMUnitTest)cmocka_unit_test(verified);
    for (size_t i = 0; i < COUNT(dialogues); i++)
        tests[i] = (struct CMUnitTest){ .name = dialogues[i].name,
                                        .test_func = run_dialogue,
                                        .initial_state = (void *)(uintptr_t)&dialogues[i] };
    int failures = _cmocka_run_group_tests("dialogues", tests, COUNT(tests), NULL, NULL);
    text_free(&certificate);
    text_free(&key);
    return failures;
}
