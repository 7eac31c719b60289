//! Attacks on a member's rows.

use crate::table::{Dataset, TableError};

/// Rows made worse before an honest training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DataAttack {
    /// Class `c` of `k` becomes `k − 1 − c`.
    LabelFlip {
        /// Number of classes.
        classes: u32,
    },
    /// One input gets a value, and the row a class, in every `every`th row: where the trigger is seen later, the model
    /// is to answer with that class.
    Backdoor {
        /// The input that is the trigger, counted from 0.
        input: usize,
        /// Its value.
        value: f32,
        /// The class to answer.
        class: u32,
        /// One in so many rows, at least 1.
        every: usize,
    },
}

impl DataAttack {
    /// The rows to train on instead.
    ///
    /// # Errors
    /// [`TableError`] where the result is no table, as for an input that the rows do not have.
    pub fn spoil(&self, rows: &Dataset) -> Result<Dataset, TableError> {
        let inputs = rows.inputs();
        let (mut features, mut labels) = (rows.features().to_vec(), rows.labels().to_vec());
        match *self {
            Self::LabelFlip { classes } => {
                for label in &mut labels {
                    *label = classes.saturating_sub(1).saturating_sub(*label);
                }
            }
            Self::Backdoor {
                input,
                value,
                class,
                every,
            } => {
                let chosen = features
                    .chunks_mut(inputs.max(1))
                    .zip(&mut labels)
                    .step_by(every.max(1));
                for (row, label) in chosen {
                    if let Some(trigger) = row.get_mut(input) {
                        *trigger = value;
                        *label = class;
                    }
                }
            }
        }
        Dataset::new(inputs, features, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Dataset {
        Dataset::new(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0, 1, 2]).unwrap()
    }

    #[test]
    fn flipping_labels_twice_changes_nothing() {
        let flip = DataAttack::LabelFlip { classes: 3 };
        let flipped = flip.spoil(&rows()).unwrap();
        assert_eq!(flipped.labels(), [2, 1, 0]);
        assert_eq!(flip.spoil(&flipped).unwrap(), rows());
    }

    #[test]
    fn a_backdoor_marks_the_rows_it_relabels_and_no_others() {
        let attack = DataAttack::Backdoor {
            input: 1,
            value: 9.0,
            class: 7,
            every: 2,
        };
        let spoilt = attack.spoil(&rows()).unwrap();
        assert_eq!(spoilt.features(), [1.0, 9.0, 3.0, 4.0, 5.0, 9.0]);
        assert_eq!(spoilt.labels(), [7, 1, 7]);
    }
}
