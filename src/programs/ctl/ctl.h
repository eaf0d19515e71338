#pragma once
/*
 * ctl - the operator's commands. Each is a main of its own: argv[0] is the command's name, the result is the exit code
 * of the process: 0, or as in programs/ctl/protocol.h and sysexits.h.
 */
int queue_main(int argc, char **argv);
int user_main(int argc, char **argv);
int status_main(int argc, char **argv);
int send_main(int argc, char **argv);
int sendmail_main(int argc, char **argv);
int version_main(int argc, char **argv);
