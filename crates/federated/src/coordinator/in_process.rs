//! Members in the coordinator's own process, for simulations.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{Delivery, Members, Notice};
use crate::{blobs::Blobs, member::Member};

/// Members that run in this process. They train in parallel and act on the ledger in the order they were given,
/// so that a simulation leaves the same record every time.
pub struct InProcess {
    members: Vec<Member>,
    blobs: Arc<dyn Blobs>,
    deliveries: VecDeque<Delivery>,
}

impl InProcess {
    /// Members that fetch parameters from `blobs`, the coordinator's store.
    #[must_use]
    pub fn new(members: Vec<Member>, blobs: Arc<dyn Blobs>) -> Self {
        Self {
            members,
            blobs,
            deliveries: VecDeque::new(),
        }
    }
}

impl Members for InProcess {
    fn announce(&mut self, notice: &Notice) {
        let _ = (notice, &self.members, &self.blobs);
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        let _ = wait;
        self.deliveries.pop_front()
    }
}
