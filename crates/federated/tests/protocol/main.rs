//! Studies from enrolment to audit, over every transport, with everything going wrong on the way.

mod simulation;
mod support;
