//! How much an update tells about those it was made from, and the noise that bounds it.
//!
//! [`accountant`] adds up what rounds spend, [`noise`] makes a release, [`sampler`] draws its noise exactly.
//!
//! # Unit of privacy
//!
//! A guarantee (ε, δ) is about neighbouring inputs, and means nothing without saying which:
//!
//! - *Member*: two studies that differ in one member's whole data set. An update is clipped as a whole, so this covers
//!   every row and every secret of that member, and needs much noise for few members.
//! - *Record*: two data sets of one member that differ in one row. Each row's gradient is clipped, and rows are sampled
//!   by the member in secret.
//!
//! Members that a public seed draws for a round are no secret: their sampling amplifies nothing, and
//! [`Sampling::All`] is the honest setting for it.

pub mod accountant;
mod epsilon;
pub mod noise;
mod renyi;
pub mod sampler;

pub use self::{
    accountant::{Accountant, Budget, Mechanism, PrivacyError, Sampling},
    epsilon::MicroEpsilon,
};
