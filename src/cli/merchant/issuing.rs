//! Client certificates of merchants: by the operator's own CA, or self-signed and taken for the key that is bound.
//!
//! Of a request (PKCS #10) only the key is taken, once its signature shows that its sender has the private half; what
//! else it asks for is not its to decide.

use crate::edge;
use jiff::civil::Date;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use std::path::Path;
use zeroize::Zeroizing;

/// A certificate, and its key where it was made here.
pub(super) struct Issued {
    pub certificate: String,
    pub key: Option<Zeroizing<String>>,
}

/// For whom, and until when.
pub(super) struct Subject<'a> {
    pub merchant: &'a str,
    pub days: u16,
}

/// Makes a key pair, and a certificate of the operator's CA where there is one.
pub(super) fn key_and_certificate(settings: &edge::Settings, subject: &Subject<'_>) -> Result<Issued, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let params = params(subject)?;
    let certificate = match issuer(settings)? {
        Some(issuer) => params.signed_by(&key, &issuer),
        None => params.self_signed(&key),
    };
    let certificate = certificate.map_err(|error| format!("a certificate cannot be made: {error}"))?;
    Ok(Issued { certificate: certificate.pem(), key: Some(Zeroizing::new(key.serialize_pem())) })
}

/// Issues a certificate for the key of a request.
pub(super) fn by_request(settings: &edge::Settings, subject: &Subject<'_>, request: &Path) -> Result<Issued, String> {
    let issuer = issuer(settings)?.ok_or(
        "there is no CA to issue with: edge.client_ca_key_file is not set. A certificate that the merchant has signed \
         itself can be given with --certificate",
    )?;
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", request.display());
    let text = std::fs::read_to_string(request).map_err(|error| wrong(&error))?;
    let request = CertificateSigningRequestParams::from_pem(&text).map_err(|error| wrong(&error))?;
    let request = CertificateSigningRequestParams { params: params(subject)?, public_key: request.public_key };
    let certificate = request.signed_by(&issuer).map_err(|error| wrong(&error))?;
    Ok(Issued { certificate: certificate.pem(), key: None })
}

/// The operator's CA, where its key is here.
fn issuer(settings: &edge::Settings) -> Result<Option<Issuer<'static, KeyPair>>, String> {
    let Some(key_file) = &settings.client_ca_key_file else { return Ok(None) };
    let ca_file = settings.client_ca_file.as_ref().ok_or("edge.client_ca_key_file is the key of no client_ca_file")?;
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let key = KeyPair::from_pem(&Zeroizing::new(read(key_file)?));
    let key = key.map_err(|_| format!("{}: expected a private key in PEM form", key_file.display()))?;
    let issuer = Issuer::from_ca_cert_pem(&read(ca_file)?, key);
    issuer.map(Some).map_err(|error| format!("{}: {error}", ca_file.display()))
}

fn params(subject: &Subject<'_>) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject.merchant);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(new_serial()?);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // From yesterday, for clocks that differ.
    let valid = (today.yesterday(), today.checked_add(jiff::Span::new().days(i64::from(subject.days))));
    let (Ok(from), Ok(until)) = valid else { return Err("the calendar ends before that".to_owned()) };
    let day =
        |date: Date| rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    (params.not_before, params.not_after) = (day(from), day(until));
    Ok(params)
}

/// Of 127 random bits (RFC 5280 section 4.1.2.2): one that followed from the key would be the same for its next
/// certificate, and taking back one would take back both.
fn new_serial() -> Result<SerialNumber, String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes")?;
    bytes[0] &= 0x7F;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_next_certificate_has_another_number() {
        let subject = Subject { merchant: "shop", days: u16::MAX };
        let numbers =
            [params(&subject).unwrap(), params(&subject).unwrap()].map(|params| params.serial_number.unwrap());
        assert_ne!(numbers[0], numbers[1]);
        assert!(numbers.iter().all(|number| number.len() <= 16 && number.as_ref()[0] < 0x80), "a positive number");
    }
}
