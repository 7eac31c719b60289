//! Studies from enrolment to audit, over every transport, with everything going wrong on the way.

mod audit;
mod crowd;
mod faults;
mod http;
mod limits;
mod masked;
mod masked_audit;
mod masked_runs;
mod privacy;
mod sampled;
mod simulation;
mod standing;
mod starts;
mod support;
