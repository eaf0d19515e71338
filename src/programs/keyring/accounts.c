#include "programs/keyring/accounts.h"
#include "base/clock.h"
#include "base/memory.h"
#include "programs/keyring/password.h"
#include "smtp/path.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 1, BUSY_MS = 5000 };
#define FILE_NAME "accounts.db"

enum statement { FIND, ADD, SET_HASH, REMOVE, EACH, STATEMENTS };
static const char *const statement_texts[STATEMENTS] = {
    [FIND] = "SELECT hash FROM accounts WHERE address = ?1",
    [ADD] = "INSERT INTO accounts (address, hash, created_ms, changed_ms) VALUES (?1, ?2, ?3, ?3)",
    [SET_HASH] = "UPDATE accounts SET hash = ?2, changed_ms = ?3 WHERE address = ?1",
    [REMOVE] = "DELETE FROM accounts WHERE address = ?1",
    [EACH] = "SELECT address, hash, created_ms, changed_ms FROM accounts ORDER BY address",
};

struct accounts {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

/* --- opening --- */

/* SQLite makes names absolute, and looks at each folder on the way: ours may not be passable for keyring's user.
 * The name is used as it is. */
static int keep_name(sqlite3_vfs *vfs, const char *name, int size, char *to)
{
    (void)vfs;
    return snprintf(to, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

#define VFS_NAME "postrider"
static int register_vfs(void)
{
    static sqlite3_vfs vfs; /* SQLite keeps the pointer for the life of the process */
    if (sqlite3_vfs_find(VFS_NAME))
        return SQLITE_OK;
    const sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
    if (!usual)
        return SQLITE_ERROR;
    vfs = *usual;
    vfs.pNext = NULL;
    vfs.zName = VFS_NAME;
    vfs.xFullPathname = keep_name;
    return sqlite3_vfs_register(&vfs, 0);
}

static bool run(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK; }

static int schema_version(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return version;
}

static bool make_tables(sqlite3 *db)
{
    return run(db, "BEGIN IMMEDIATE;"
                   "CREATE TABLE IF NOT EXISTS accounts (address TEXT PRIMARY KEY, hash TEXT NOT NULL,"
                   " created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
                   "PRAGMA user_version = 1;"
                   "COMMIT");
}

static bool prepare(struct accounts *a, struct text *error)
{
    sqlite3_busy_timeout(a->db, BUSY_MS);
    bool ok = run(a->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
                         "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON");
    int version = ok ? schema_version(a->db) : -1;
    if (version > SCHEMA_VERSION) {
        text_add_format(error, "it was written by a newer version of Postrider (its format is %d, this one knows %d)",
                        version, SCHEMA_VERSION);
        return false;
    }
    ok = ok && version >= 0 && (version == SCHEMA_VERSION || make_tables(a->db));
    for (int i = 0; i < STATEMENTS && ok; i++)
        ok = sqlite3_prepare_v3(a->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &a->statements[i], NULL) ==
             SQLITE_OK;
    if (!ok)
        text_add_cstr(error, sqlite3_errmsg(a->db));
    return ok;
}

/* Made with the right mode and owner before SQLite sees it; what it puts beside takes over both. Also when root made it
 * while the server was not running. */
static bool make_file(const char *folder, const char *name, struct text *error)
{
    struct stat owner;
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && stat(folder, &owner) == 0 && (geteuid() != 0 || fchown(fd, owner.st_uid, owner.st_gid) == 0);
    if (!ok)
        text_add_format(error, "%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

struct accounts *accounts_open(const char *folder, struct text *error)
{
    char name[4096];
    struct text why = { 0 };
    struct accounts *a = MEMORY_NEW(struct accounts);
    bool ok = snprintf(name, sizeof name, "%s/" FILE_NAME, folder) < (int)sizeof name && make_file(folder, name, &why);
    if (ok && (register_vfs() != SQLITE_OK ||
               sqlite3_open_v2(name, &a->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, VFS_NAME) != SQLITE_OK)) {
        text_add_cstr(&why, a->db ? sqlite3_errmsg(a->db) : "SQLite cannot be started");
        ok = false;
    }
    if (!ok || !prepare(a, &why)) {
        text_add_format(error, "cannot open the accounts in %s: " SLICE_FMT, name, SLICE_ARG(text_slice(&why)));
        accounts_close(a);
        a = NULL;
    }
    text_free(&why);
    return a;
}

void accounts_close(struct accounts *a)
{
    if (!a)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(a->statements[i]);
    sqlite3_close(a->db);
    memory_free(a);
}

/* --- what people ask for --- */

bool account_address(slice address, struct text *to)
{
    struct path_parse parsed = mailbox_parse(address, true);
    if (parsed.error != PATH_OK || parsed.path.domain.len == 0)
        return false;
    for (size_t i = 0; i < address.len; i++)
        text_add_byte(to, ascii_lower(address.ptr[i]));
    return true;
}

static enum accounts_result say(struct text *error, enum accounts_result result, slice address)
{
    static const char *const texts[] = {
        [ACCOUNTS_EXISTS] = "there is an account of this name already",
        [ACCOUNTS_UNKNOWN] = "there is no account of this name",
        [ACCOUNTS_BAD_ADDRESS] = "an account's name is an address, name@domain, without a / (its mailbox is a folder)",
        [ACCOUNTS_BAD_HASH] =
            "not a hash of a known kind: yescrypt ($y$), scrypt ($7$), bcrypt ($2b$), sha512crypt ($6$), "
            "sha256crypt ($5$) or argon2id ($argon2id$)",
    };
    text_add(error, address);
    text_add_format(error, ": %s", texts[result]);
    return result;
}

static enum accounts_result say_failed(struct accounts *a, struct text *error)
{
    text_add_format(error, "the store of accounts failed: %s", sqlite3_errmsg(a->db));
    return ACCOUNTS_FAILED;
}

static void bind(sqlite3_stmt *statement, int place, slice value)
{
    sqlite3_bind_text(statement, place, value.ptr, (int)value.len, SQLITE_TRANSIENT);
}

/* One change of one row; `not_done` where no row was touched. */
static enum accounts_result change(struct accounts *a, enum statement which, slice given, slice hash,
                                   enum accounts_result not_done, struct text *error)
{
    struct text address = { 0 };
    enum accounts_result result = ACCOUNTS_OK;
    if (!account_address(given, &address)) {
        text_free(&address);
        return say(error, ACCOUNTS_BAD_ADDRESS, given);
    }
    sqlite3_stmt *statement = a->statements[which];
    bind(statement, 1, text_slice(&address));
    if (which != REMOVE) {
        bind(statement, 2, hash);
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)clock_wall_ms());
    }
    int status = sqlite3_step(statement);
    if (status == SQLITE_CONSTRAINT || (status == SQLITE_DONE && sqlite3_changes(a->db) == 0))
        result = say(error, not_done, text_slice(&address));
    else if (status != SQLITE_DONE)
        result = say_failed(a, error);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    text_free(&address);
    return result;
}

enum accounts_result accounts_add(struct accounts *a, slice address, slice hash, struct text *error)
{
    if (!password_hash_is_known(hash))
        return say(error, ACCOUNTS_BAD_HASH, address);
    if (slice_find_byte(address, '/') != SLICE_NOT_FOUND) /* its mail would be accepted, and then returned */
        return say(error, ACCOUNTS_BAD_ADDRESS, address);
    return change(a, ADD, address, hash, ACCOUNTS_EXISTS, error);
}

enum accounts_result accounts_set_hash(struct accounts *a, slice address, slice hash, struct text *error)
{
    if (!password_hash_is_known(hash))
        return say(error, ACCOUNTS_BAD_HASH, address);
    return change(a, SET_HASH, address, hash, ACCOUNTS_UNKNOWN, error);
}

enum accounts_result accounts_remove(struct accounts *a, slice address, struct text *error)
{
    return change(a, REMOVE, address, (slice){ 0 }, ACCOUNTS_UNKNOWN, error);
}

static slice column(sqlite3_stmt *statement, int place)
{
    const char *octets = (const char *)sqlite3_column_text(statement, place);
    return slice_from(octets, octets ? (size_t)sqlite3_column_bytes(statement, place) : 0);
}

enum accounts_result accounts_find(struct accounts *a, slice given, struct text *hash, struct text *error)
{
    struct text address = { 0 };
    enum accounts_result result = ACCOUNTS_OK;
    sqlite3_stmt *statement = a->statements[FIND];
    if (!account_address(given, &address)) {
        text_free(&address);
        return say(error, ACCOUNTS_BAD_ADDRESS, given);
    }
    bind(statement, 1, text_slice(&address));
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW)
        text_add(hash, column(statement, 0));
    else if (status == SQLITE_DONE)
        result = say(error, ACCOUNTS_UNKNOWN, text_slice(&address));
    else
        result = say_failed(a, error);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    text_free(&address);
    return result;
}

bool accounts_each(struct accounts *a, void (*visit)(void *context, const struct account_record *), void *context,
                   struct text *error)
{
    sqlite3_stmt *statement = a->statements[EACH];
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        struct account_record record = {
            .address = column(statement, 0),
            .hash = column(statement, 1),
            .created_ms = (uint64_t)sqlite3_column_int64(statement, 2),
            .changed_ms = (uint64_t)sqlite3_column_int64(statement, 3),
        };
        visit(context, &record);
    }
    if (status != SQLITE_DONE)
        (void)!say_failed(a, error);
    sqlite3_reset(statement);
    return status == SQLITE_DONE;
}
