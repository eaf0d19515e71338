#include "base/address.h"
#include "base/memory.h"
#include "tls/inside.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum { YEARS_10_IN_DAYS = 3652, SERIAL_OCTETS = 16, COMMON_NAME_MAX = 64 };

int tls_no_password(char *to, int room, int writing, void *context)
{
    (void)to, (void)room, (void)writing, (void)context;
    return 0;
}

bool tls_each_certificate(slice pem, bool (*take)(void *context, X509 *), void *context, size_t *count)
{
    *count = 0;
    BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len) : NULL;
    bool ok = bio != NULL;
    X509 *certificate;
    while (ok && (certificate = PEM_read_bio_X509(bio, NULL, tls_no_password, NULL))) {
        ok = take(context, certificate);
        ++*count;
    }
    if (ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        ERR_clear_error(); /* the end of the file */
    else
        ok = false;
    BIO_free(bio);
    return ok;
}

static bool keep_first(void *context, X509 *certificate)
{
    X509 **first = context;
    if (*first)
        X509_free(certificate);
    else
        *first = certificate;
    return true;
}

bool tls_certificate_days_left(slice certificate_pem, int64_t *days)
{
    X509 *certificate = NULL;
    size_t count;
    int whole_days, seconds;
    ERR_clear_error();
    /* a broken one further down does not matter here */
    (void)tls_each_certificate(certificate_pem, keep_first, &certificate, &count);
    ERR_clear_error();
    bool ok = certificate && ASN1_TIME_diff(&whole_days, &seconds, NULL, X509_get0_notAfter(certificate)) == 1;
    if (ok)
        *days = whole_days == 0 && seconds < 0 ? -1 : whole_days;
    X509_free(certificate);
    return ok;
}

/* a certificate of our own -------------------------------------------------------------------------------------- */

static bool set_serial(X509 *certificate)
{
    unsigned char octets[SERIAL_OCTETS];
    if (RAND_bytes(octets, sizeof octets) != 1)
        return false;
    octets[0] &= 0x7f; /* positive (RFC 5280 §4.1.2.2) */
    BIGNUM *number = BN_bin2bn(octets, sizeof octets, NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

/* Only letters, digits, '-', '.', ':' and '_': the text below is read by OpenSSL's little language of extensions. */
static bool is_plain_name(slice hostname)
{
    for (size_t i = 0; i < hostname.len; i++)
        if (!ascii_is_alnum(hostname.ptr[i]) && !strchr("-.:_", hostname.ptr[i]))
            return false;
    return hostname.len > 0 && hostname.len <= 253 && !memchr(hostname.ptr, 0, hostname.len);
}

static bool set_names(X509 *certificate, slice hostname)
{
    struct address address;
    struct text names = { 0 };
    X509_NAME *name = X509_get_subject_name(certificate);
    text_add_cstr(&names, address_parse(hostname, &address) ? "IP:" : "DNS:");
    text_add(&names, hostname);
    /* the common name is for people; what is checked is the alternative name (RFC 6125 §6.4.4) */
    bool ok = X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)hostname.ptr,
                                         (int)size_min(hostname.len, COMMON_NAME_MAX), -1, 0) == 1;
    ok = ok && X509_set_issuer_name(certificate, name) == 1;
    ok = ok && add_extension(certificate, NID_subject_alt_name, text_cstr(&names));
    text_free(&names);
    return ok;
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *key, slice hostname)
{
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 60 * 60) && /* for clients whose clock is behind */
           X509_time_adj_ex(X509_getm_notAfter(certificate), YEARS_10_IN_DAYS, 0, NULL) &&
           set_names(certificate, hostname) && add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth") && X509_set_pubkey(certificate, key) == 1 &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static void add_bio(struct text *to, BIO *bio)
{
    char *octets;
    long count = BIO_get_mem_data(bio, &octets);
    text_add(to, slice_from(octets, (size_t)count));
}

static bool write_pems(X509 *certificate, EVP_PKEY *key, struct text *certificate_pem, struct text *key_pem)
{
    BIO *first = BIO_new(BIO_s_mem()), *second = BIO_new(BIO_s_secmem());
    bool ok = first && second && PEM_write_bio_X509(first, certificate) == 1 &&
              PEM_write_bio_PKCS8PrivateKey(second, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (ok) {
        add_bio(certificate_pem, first);
        add_bio(key_pem, second);
    }
    BIO_free(first);
    BIO_free(second);
    return ok;
}

bool tls_make_self_signed(slice hostname, struct text *certificate_pem, struct text *key_pem, struct text *error)
{
    if (!is_plain_name(hostname)) {
        text_add_cstr(error, "a certificate needs a plain host name or address");
        return false;
    }
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    bool ok = key && certificate && fill_certificate(certificate, key, hostname) &&
              write_pems(certificate, key, certificate_pem, key_pem);
    if (!ok)
        tls_add_error(error, "the certificate could not be made");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}
