//! Train one model on data that stays where it is.
//!
//! What a study is: [`study`]. A member's data: [`table`]. The model: [`architecture`], [`parameters`],
//! [`training`]. What travels: [`update`]. What everyone recomputes: [`aggregate`], [`server_optimiser`],
//! [`contribution`]. What must be recorded: [`ledger`].

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod architecture;
pub mod contribution;
pub mod decimal;
pub mod ledger;
pub mod parameters;
pub mod server_optimiser;
pub mod simulation;
pub mod study;
pub mod table;
pub mod training;
pub mod update;
