//! Studies from enrolment to audit, over every transport, with everything going wrong on the way.

mod audit;
mod http;
mod simulation;
mod support;
