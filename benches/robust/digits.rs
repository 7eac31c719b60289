//! MNIST digits, and how they are dealt to members.

use std::{fs, path::Path};

use counterweight_federated::table::Dataset;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use crate::cohort::Failure;

pub(crate) const PIXELS: usize = 784;
pub(crate) const CLASSES: u32 = 10;

/// Ten thousand digits: what members train on, what scores and rules may look at, what accuracy is measured on.
pub(crate) struct Digits {
    pub(crate) training: Dataset,
    pub(crate) holdout: Dataset,
    pub(crate) test: Dataset,
}

/// How digits are dealt to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// Everyone alike.
    Iid,
    /// Each class by shares from a Dirichlet distribution with all parameters 0.5.
    Dirichlet,
}

impl Split {
    pub(crate) const ALL: [Self; 2] = [Self::Iid, Self::Dirichlet];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Iid => "iid",
            Self::Dirichlet => "dirichlet-0.5",
        }
    }
}

impl Digits {
    /// 6,000 digits to train on, 400 to hold out, 2,000 to test on, in an order drawn once.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let (features, labels) = if folder.join("src/digits").is_dir() {
            npm(&folder.join("src/digits"))?
        } else {
            idx(folder)?
        };
        if labels.len() < 8400 {
            return Err(format!("{} digits, at least 8,400 are needed", labels.len()).into());
        }
        let mut order: Vec<usize> = (0..labels.len()).collect();
        shuffle(&mut order, &mut ChaCha20Rng::seed_from_u64(1));
        let all = Dataset::new(PIXELS, features, labels)?;
        Ok(Self {
            training: rows(&all, &order[..6000])?,
            holdout: rows(&all, &order[6000..6400])?,
            test: rows(&all, &order[6400..8400])?,
        })
    }

    /// The training digits dealt to so many members.
    pub(crate) fn deal(&self, members: usize, split: Split, seed: u64) -> Result<Vec<Dataset>, Failure> {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.training.len()).collect();
        shuffle(&mut order, &mut random);
        let mut dealt = vec![Vec::new(); members];
        match split {
            Split::Iid => {
                for (at, row) in order.into_iter().enumerate() {
                    dealt[at % members].push(row);
                }
            }
            Split::Dirichlet => {
                for class in 0..CLASSES {
                    let labels = self.training.labels();
                    let of_class: Vec<usize> = order
                        .iter()
                        .copied()
                        .filter(|row| labels[*row] == class)
                        .collect();
                    let shares: Vec<f64> = (0..members).map(|_| gamma_half(&mut random)).collect();
                    let whole: f64 = shares.iter().sum();
                    let (mut from, mut reached) = (0, 0.0);
                    for (member, share) in shares.iter().enumerate() {
                        reached += share / whole;
                        let to = ((reached * of_class.len() as f64).round() as usize).min(of_class.len());
                        dealt[member].extend_from_slice(&of_class[from..to.max(from)]);
                        from = to.max(from);
                    }
                }
                // Nobody goes without: whoever got less than ten takes from who has most.
                for member in 0..members {
                    while dealt[member].len() < 10 {
                        let most = (0..members)
                            .max_by_key(|other| dealt[*other].len())
                            .unwrap_or(member);
                        let row = dealt[most].pop().ok_or("too few digits for so many members")?;
                        dealt[member].push(row);
                    }
                }
            }
        }
        dealt.iter().map(|chosen| rows(&self.training, chosen)).collect()
    }
}

fn rows(of: &Dataset, chosen: &[usize]) -> Result<Dataset, Failure> {
    let features = chosen
        .iter()
        .flat_map(|row| &of.features()[row * PIXELS..(row + 1) * PIXELS]);
    let labels = chosen.iter().map(|row| of.labels()[*row]).collect();
    Ok(Dataset::new(PIXELS, features.copied().collect(), labels)?)
}

/// Gamma with shape 1/2 is half the square of a normal value.
fn gamma_half(random: &mut ChaCha20Rng) -> f64 {
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let normal = (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    normal * normal / 2.0 + 1e-12
}

fn shuffle(order: &mut [usize], random: &mut ChaCha20Rng) {
    for at in (1..order.len()).rev() {
        order.swap(at, (random.next_u64() % (at as u64 + 1)) as usize);
    }
}

type Raw = (Vec<f32>, Vec<u32>);

/// One JSON file a class: `{"data": [0 to 1, 784 for each digit]}`.
fn npm(folder: &Path) -> Result<Raw, Failure> {
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for class in 0..CLASSES {
        let text = fs::read(folder.join(format!("{class}.json")))?;
        let file: std::collections::HashMap<String, Vec<f32>> = serde_json::from_slice(&text)?;
        let data = file.get("data").ok_or("no data in the package's file")?;
        labels.extend(std::iter::repeat_n(class, data.len() / PIXELS));
        features.extend_from_slice(&data[..data.len() / PIXELS * PIXELS]);
    }
    Ok((features, labels))
}

/// All of MNIST's IDX files that are there.
fn idx(folder: &Path) -> Result<Raw, Failure> {
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for part in ["train", "test", "t10k"] {
        let images = folder.join(format!("{part}-images-idx3-ubyte"));
        if !images.is_file() {
            continue;
        }
        let pixels = fs::read(images)?;
        let classes = fs::read(folder.join(format!("{part}-labels-idx1-ubyte")))?;
        let count = classes.len().saturating_sub(8);
        if pixels.len() != 16 + count * PIXELS {
            return Err(format!("{part}: {} bytes of images for {count} labels", pixels.len()).into());
        }
        features.extend(pixels[16..].iter().map(|pixel| f32::from(*pixel) / 255.0));
        labels.extend(classes[8..].iter().map(|class| u32::from(*class)));
    }
    Ok((features, labels))
}
