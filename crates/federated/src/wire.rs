//! What travels between members and coordinator, whatever carries it. Page: `docs/spec/member-protocol.md`.

mod message;
mod replay_guard;
mod request;

pub use self::{
    message::{AnswerMessage, DeclineMessage, ErrorMessage, MessageError, NoticeMessage, RoundMessage},
    replay_guard::{ReplayGuard, ReplayGuardError, WINDOW_MS},
    request::{DOMAIN, Nonce, RequestError, RequestFacts, SignedRequest, UncheckedRequest},
};
