//! TLS as `sslmode` wants it: who is believed to be the server.
//!
//! libpq's modes do not map onto a web client's: `require` believes anyone, `verify-ca` takes any name, and a server's
//! own self-signed certificate may stand in `root.crt`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tagged};

use crate::error::{Error, OrFailed, Result};
use crate::model::conninfo::{SslMode, Tls};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The TLS side of a connection with these settings.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { trust: trust(tls)?, name: tls.mode == SslMode::VerifyFull, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .or_failed(|| "cannot set up TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match client_certificate(tls)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).or_failed(|| "the client certificate and its key do not work")?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

#[derive(Debug)]
enum Trust {
    /// The mode asks for no proof.
    Anyone,
    /// Certificates signed by these, or one of these itself.
    Roots { store: RootCertStore, itself: Vec<CertificateDer<'static>> },
}

fn trust(tls: &Tls) -> Result<Trust> {
    let verify = tls.mode >= SslMode::VerifyCa;
    let default = tls.user_folder.as_ref().map(|folder| format!("{folder}/root.crt"));
    let path = match (tls.root_cert.as_deref(), default) {
        (Some("system"), _) => return system_roots(tls.mode),
        (Some(path), _) => Some(path.to_owned()),
        (None, Some(path)) if Path::new(&path).exists() => Some(path),
        _ => None,
    };
    // As in libpq, `require` verifies too where there is something to verify with.
    match path {
        Some(path) if verify || (tls.mode == SslMode::Require && Path::new(&path).exists()) => file_roots(&path),
        None if verify => Err(Error::usage(format!("sslmode={} needs a root certificate", tls.mode.as_str()))
            .help("put it into ~/.postgresql/root.crt, name it by sslrootcert, or write sslrootcert=system.")),
        _ => Ok(Trust::Anyone),
    }
}

fn system_roots(mode: SslMode) -> Result<Trust> {
    if mode != SslMode::VerifyFull {
        let message = format!("sslmode={} is too weak for sslrootcert=system", mode.as_str());
        return Err(Error::usage(message).help("write sslmode=verify-full."));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(Error::failed("this machine has no trusted certificates (sslrootcert=system)")
            .help("install them (Debian: ca-certificates), or name a file by sslrootcert."));
    }
    Ok(Trust::Roots { store, itself: Vec::new() })
}

fn file_roots(path: &str) -> Result<Trust> {
    let itself = certificates(path, "root certificate")?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(itself.iter().cloned());
    Ok(Trust::Roots { store, itself })
}

fn certificates(path: &str, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(path).or_failed(|| format!("cannot read the {what} {path}"))?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::failed(format!("there is no certificate in the {what} {path}")).help("it must be a PEM file.")),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(tls: &Tls) -> Result<Option<Identity>> {
    let in_folder = |name: &str| tls.user_folder.as_ref().map(|folder| format!("{folder}/{name}"));
    let cert = tls.cert.clone().or_else(|| in_folder("postgresql.crt").filter(|path| Path::new(path).exists()));
    let Some(cert) = cert else { return Ok(None) };
    let Some(key) = tls.key.clone().or_else(|| in_folder("postgresql.key")) else {
        return Err(Error::usage("there is a client certificate, but no key").help("name it by sslkey."));
    };
    let meta = fs::metadata(&key).or_failed(|| format!("cannot read the client key {key}"))?;
    let open_to_others = if meta.uid() == 0 { meta.mode() & 0o027 } else { meta.mode() & 0o077 };
    if open_to_others != 0 {
        return Err(
            Error::failed(format!("the client key {key} can be read by others")).help(format!("chmod 600 {key}"))
        );
    }
    let pem = fs::read(&key).or_failed(|| format!("cannot read the client key {key}"))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Error::failed(format!("there is no unencrypted key in {key}")).help("it must be a PEM file."))?;
    Ok(Some((certificates(&cert, "client certificate")?, private)))
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Trust::Roots { store, itself } = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        if itself.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) {
            within_validity(end_entity, now)?;
        } else {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let parsed = ParsedCertificate::try_from(end_entity)?;
            verify_server_cert_signed_by_trust_anchor(&parsed, store, intermediates, now, algorithms)?;
        }
        if self.name {
            names_the_server(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn parsed(certificate: &CertificateDer<'_>) -> Result<Certificate, rustls::Error> {
    Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

fn within_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let validity = parsed(certificate)?.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// As libpq: the common name counts only where the certificate lists no alternative names.
fn names_the_server(certificate: &CertificateDer<'_>, server: &ServerName<'_>) -> Result<(), rustls::Error> {
    let named = ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, server));
    let Err(refusal) = named else { return Ok(()) };
    let tbs = parsed(certificate)?.tbs_certificate;
    let lists_names = tbs.extensions.iter().flatten().any(|extension| extension.extn_id == ALTERNATIVE_NAME);
    let host = server.to_str();
    let common_name = tbs
        .subject
        .0
        .iter()
        .flat_map(|part| part.0.iter())
        .filter(|attribute| attribute.oid == COMMON_NAME && attribute.value.tag() != x509_cert::der::Tag::BmpString)
        .filter_map(|attribute| std::str::from_utf8(attribute.value.value()).ok())
        .next_back()
        .is_some_and(|name| name_fits(name, &host));
    if !lists_names && common_name { Ok(()) } else { Err(refusal) }
}

/// A `*` stands for the whole first label, and only in a name that has more than two.
fn name_fits(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((label, rest))) => {
            !label.is_empty()
                && domain.contains('.')
                && !host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && domain.eq_ignore_ascii_case(rest)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::name_fits;

    #[test]
    fn wildcards_stand_for_one_label() {
        let cases = [
            ("db.example.org", "DB.example.org", true),
            ("*.example.org", "db.example.org", true),
            ("*.example.org", "a.db.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.org", "example.org", false),
            ("*", "db", false),
            ("*.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
        ];
        for (pattern, host, fits) in cases {
            assert_eq!(name_fits(pattern, host), fits, "{pattern} {host}");
        }
    }
}
