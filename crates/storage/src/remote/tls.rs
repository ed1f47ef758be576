//! TLS with the certificates of a file besides the system's.
//!
//! A certificate in the file vouches, as an authority, for those that it signed. A server may also
//! present the very certificate that is in the file, as those do that sign their own; such a one is
//! taken whatever it says of itself, but it must name the server.

use std::path::Path;
use std::sync::{Arc, Once};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::error::StoreError;

/// Has TLS run on ring; who comes first decides for the process.
pub(super) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Someone else's choice serves as well.
        let _ = ring::default_provider().install_default();
    });
}

/// The configuration of clients that trust the certificates in `file`. Blocks.
pub(super) fn trusting(file: &Path) -> Result<ClientConfig, StoreError> {
    let invalid = |reason: String| StoreError::InvalidConfig {
        setting: "minio.ssl.tlsCACert",
        reason: format!("is {}, which is no certificate: {reason}", file.display()),
    };
    let pem = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| invalid(error.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid("it holds none".to_owned()));
    }
    config(certificates).map_err(|error| invalid(error.to_string()))
}

fn config(certificates: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Trusting::new(certificates, Arc::clone(&provider))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Trusting {
    authorities: Verifier,
    certificates: Vec<CertificateDer<'static>>,
}

impl Trusting {
    fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let authorities = Verifier::new_with_extra_roots(certificates.clone(), provider)?;
        Ok(Self { authorities, certificates })
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_authority =
            self.authorities.verify_server_cert(presented, intermediates, server, ocsp, now);
        if by_authority.is_err() && self.certificates.iter().any(|known| known == presented) {
            verify_server_name(&ParsedCertificate::try_from(presented)?, server)?;
            return Ok(ServerCertVerified::assertion());
        }
        by_authority
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
