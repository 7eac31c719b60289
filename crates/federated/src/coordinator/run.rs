//! The steps of a study, each looked up on the ledger before it is done.

use super::{Coordinator, CoordinatorError, Members, StudyOutcome};

impl Coordinator<'_> {
    /// Runs the study to its end, from wherever the ledger says it stands.
    ///
    /// # Errors
    /// [`CoordinatorError`]. What was recorded stays; the same call later takes the study up again.
    pub fn run(self, members: &mut dyn Members) -> Result<StudyOutcome, CoordinatorError> {
        let _ = (members, self.plan, self.options, self.environment.clock);
        Err(CoordinatorError::Terms {
            problem: "not built".to_owned(),
        })
    }
}
