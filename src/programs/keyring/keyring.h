#pragma once
/*
 * keyring - the process that knows passwords: says yes or no to mta, keeps the store of accounts, answers `postrider
 * user`. It has no network and sees no mail.
 */
int keyring_main(int supervisor_fd);
