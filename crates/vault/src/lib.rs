//! Envelope encryption of credentials; the only crate that names a cipher.
//!
//! Each [`Sealed`] grant is encrypted under a data key of its own, and that key
//! is wrapped by a master key of the [`KeyRing`]. Rotating a master key wraps
//! the data keys anew and leaves the payloads alone.
//!
//! | what | cipher | associated data |
//! | --- | --- | --- |
//! | payload of a grant | XChaCha20-Poly1305 under the data key | channel uid, generation |
//! | payload of a webhook's secret | the same | endpoint uid |
//! | data key | XChaCha20-Poly1305 under the master key | uid of channel or endpoint, key id |
//!
//! So an envelope copied to another row, or to another generation of its own
//! row, does not open.
//!
//! [`Sealed`]: domain::Sealed

mod envelope;
mod ring;

pub use envelope::{OpenError, Vault};
pub use ring::{KeyRing, KeyRingError};
