#include "tls/inside.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* OpenSSL's words are for its authors; these are for who runs the mail server. */
static const struct {
    int reason;
    const char *text;
} reasons[] = {
    { SSL_R_WRONG_VERSION_NUMBER, "what the peer sent is not TLS" },
    { SSL_R_HTTP_REQUEST, "what the peer sent is not TLS" },
    { SSL_R_HTTPS_PROXY_REQUEST, "what the peer sent is not TLS" },
    { SSL_R_PACKET_LENGTH_TOO_LONG, "what the peer sent is not TLS" },
    { SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers only versions of TLS older than 1.2" },
    { SSL_R_VERSION_TOO_LOW, "the peer offers only versions of TLS older than 1.2" },
    { SSL_R_NO_SHARED_CIPHER, "no cipher suite in common" },
    { SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no signature algorithm in common" },
    { SSL_R_NO_SUITABLE_KEY_SHARE, "no key exchange group in common" },
    { SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
      "the peer refused the handshake: nothing in common (version or cipher suite)" },
    { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the peer refused our versions of TLS (1.2 and 1.3)" },
    { SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not know the authority behind our certificate" },
    { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer refused our certificate" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer refused our certificate" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired" },
    { SSL_R_TLSV1_UNRECOGNIZED_NAME, "the peer has no certificate for the name we asked for" },
    { SSL_R_TLSV1_ALERT_INTERNAL_ERROR, "the peer reports an internal error" },
    { SSL_R_UNEXPECTED_EOF_WHILE_READING, "the peer broke off" },
    { SSL_R_EE_KEY_TOO_SMALL, "the key is too short (RSA needs 2048 bits)" },
    { SSL_R_CA_KEY_TOO_SMALL, "the key of an authority in the chain is too short (RSA needs 2048 bits)" },
    { SSL_R_CA_MD_TOO_WEAK, "a certificate in the chain is signed by a broken digest (SHA-1 or MD5)" },
};

static const char *reason_text(unsigned long error)
{
    for (size_t i = 0; ERR_GET_LIB(error) == ERR_LIB_SSL && i < COUNT(reasons); i++)
        if (ERR_GET_REASON(error) == reasons[i].reason)
            return reasons[i].text;
    const char *text = error ? ERR_reason_error_string(error) : NULL;
    return text ? text : "no further details";
}

void tls_add_error(struct text *text, const char *what)
{
    text_add_format(text, "%s: %s", what, reason_text(ERR_peek_last_error()));
    ERR_clear_error();
}

static bool is_wrong_name(long verify_result)
{
    return verify_result == X509_V_ERR_HOSTNAME_MISMATCH || verify_result == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

void tls_describe_failure(const SSL *ssl, slice server_name, char *to, size_t room)
{
    unsigned long error = ERR_peek_last_error();
    long verify_result = SSL_get_verify_result(ssl);
    if (ERR_GET_LIB(error) != ERR_LIB_SSL || ERR_GET_REASON(error) != SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(to, room, "%s", reason_text(error));
    else if (is_wrong_name(verify_result))
        snprintf(to, room, "the certificate is not for the name " SLICE_FMT, SLICE_ARG(server_name));
    else
        snprintf(to, room, "the certificate cannot be trusted: %s", X509_verify_cert_error_string(verify_result));
    ERR_clear_error();
}
