//! Train one model on data that stays where it is.
//!
//! What a study is: [`study`]. A member's data: [`table`]. The model: [`architecture`], [`parameters`],
//! [`tensor_file`], [`onnx_file`], [`training`]. What travels: [`update`], or what [`masked`] rounds make of it. What everyone recomputes: [`aggregate`], [`rules`],
//! [`server_optimiser`], [`asking`], [`contribution`], [`scoring`], [`standing`]. What must be recorded: [`ledger`]. Who runs it: [`coordinator`], [`member`], [`round`], over
//! [`http`] ([`wire`]) or in one process. Who checks it: [`audit`]. Who spoils it, in tests: [`attack`].

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod architecture;
pub mod asking;
pub mod attack;
pub mod audit;
pub mod blobs;
pub mod clock;
pub mod contribution;
pub mod coordinator;
pub mod decimal;
pub mod http;
pub mod journal;
pub mod ledger;
pub mod masked;
pub mod masking;
pub mod member;
pub mod member_set;
pub mod memory;
pub mod onnx_file;
pub mod parameters;
pub mod privacy;
pub mod round;
pub mod rules;
pub mod scoring;
pub mod server_optimiser;
pub mod simulation;
pub mod standing;
pub mod study;
pub mod table;
pub mod tensor_file;
pub mod training;
pub mod update;
pub mod wire;
