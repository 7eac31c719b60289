//! Finding logs.

use alloy_primitives::{Bloom, BloomInput, Log};

use super::sequencer::Sequencer;
use super::{EmbeddedError, LogFilter, LogRecord, StoredBlock};

/// Blocks whose headers rule them out by their bloom filter are not read.
pub(super) fn find(sequencer: &Sequencer, filter: &LogFilter) -> Result<Vec<LogRecord>, EmbeddedError> {
    let to = filter.to.min(sequencer.head().number());
    if filter.from > to {
        return Ok(Vec::new());
    }
    let limit = sequencer.config.blocks_per_query;
    if to - filter.from >= limit {
        return Err(EmbeddedError::TooMany {
            what: "blocks",
            limit,
        });
    }
    let mut found = Vec::new();
    for header in sequencer.store.view()?.headers(filter.from, to)? {
        let header = header?;
        if !filter.may_match(&header.logs_bloom) {
            continue;
        }
        let Some(block) = sequencer.block(header.number)? else {
            continue;
        };
        filter.collect(&block, &mut found);
        if found.len() > sequencer.config.logs_per_query {
            let limit = sequencer.config.logs_per_query as u64;
            return Err(EmbeddedError::TooMany { what: "logs", limit });
        }
    }
    Ok(found)
}

impl LogFilter {
    /// Whether a block with this bloom filter may hold a log that matches.
    #[must_use]
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| has(address.as_slice())))
            && self
                .topics
                .iter()
                .all(|any| any.is_empty() || any.iter().any(|topic| has(topic.as_slice())))
    }

    /// Whether a log matches, its block aside.
    #[must_use]
    pub fn matches(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics().len()
            && self
                .topics
                .iter()
                .zip(log.topics())
                .all(|(any, topic)| any.is_empty() || any.contains(topic))
    }

    /// Adds the logs of a block that match, its height aside.
    pub fn collect(&self, block: &StoredBlock, found: &mut Vec<LogRecord>) {
        let mut log_index = 0;
        for (transaction_index, receipt) in block.receipts.iter().enumerate() {
            for log in &receipt.logs {
                if self.matches(log) {
                    found.push(LogRecord {
                        log: log.clone(),
                        block_number: block.number(),
                        block_hash: block.hash(),
                        block_timestamp: block.header.timestamp,
                        transaction_hash: *block.transactions[transaction_index].tx_hash(),
                        transaction_index: transaction_index as u64,
                        log_index,
                    });
                }
                log_index += 1;
            }
        }
    }
}
