//! From the bytes of a request to the bytes of its response.

use std::time::Instant;

use alloy_primitives::Bytes;
use parking_lot::Mutex;

use super::{
    Options,
    error::RpcError,
    filters::Filters,
    message::{Answer, Incoming, Params, Request, answer, write_response},
    methods::{blocks, calls, development, fees, logs, proofs, subscriptions, transactions},
};
use crate::embedded::EmbeddedChain;

pub(crate) use super::methods::subscriptions::Session;

/// Answers requests. Blocks while it does.
pub(crate) struct Dispatcher {
    pub(super) chain: EmbeddedChain,
    pub(super) filters: Mutex<Filters>,
    options: Options,
}

impl Dispatcher {
    pub(crate) fn new(chain: EmbeddedChain, options: Options) -> Self {
        let filters = Mutex::new(Filters::new(options.limits.filters, options.limits.filter_idle));
        Self {
            chain,
            filters,
            options,
        }
    }

    pub(crate) fn chain(&self) -> &EmbeddedChain {
        &self.chain
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// The response to a body; none where it held notifications only. `session` is the WebSocket it came over.
    pub(crate) fn respond(&self, body: &[u8], session: Option<&Session>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match Incoming::read(body, self.options.limits.batch_calls) {
            Err(error) | Ok(Incoming::Single(Err(error))) => write_response(&mut out, None, &Err(error)),
            Ok(Incoming::Single(Ok(request))) => {
                let answer = self.within_limit(0, self.call(&request, session));
                write_response(&mut out, Some(request.id?), &answer);
            }
            Ok(Incoming::Batch(calls)) => self.respond_to_batch(&calls, session, &mut out),
        }
        (!out.is_empty()).then_some(out)
    }

    fn respond_to_batch(
        &self,
        calls: &[Result<Request<'_>, RpcError>],
        session: Option<&Session>,
        out: &mut Vec<u8>,
    ) {
        let began = Instant::now();
        let mut rest = calls;
        while let Some((first, others)) = rest.split_first() {
            let sending = rest.iter().take_while(|call| is_sending(call)).count();
            let answers: Vec<Answer> = if out.len() > self.options.limits.response_bytes {
                vec![Err(RpcError::limit("the answers to this batch are too large"))]
            } else if began.elapsed() > self.options.limits.batch_time {
                vec![Err(RpcError::limit("the batch takes too long"))]
            } else if sending > 0 {
                // Together, so that they share blocks and one write to disk, and signatures are checked in parallel.
                self.send_all(rest[..sending].iter().flatten())
            } else {
                let answer = first
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|request| self.call(request, session));
                vec![self.within_limit(out.len(), answer)]
            };
            for (call, answer) in rest.iter().zip(&answers) {
                let id = match call {
                    Ok(Request { id: None, .. }) => continue,
                    Ok(request) => request.id,
                    Err(_) => None,
                };
                out.push(if out.is_empty() { b'[' } else { b',' });
                write_response(out, id, answer);
            }
            rest = rest.get(answers.len()..).unwrap_or(others);
        }
        if !out.is_empty() {
            out.push(b']');
        }
    }

    fn send_all<'a>(&self, requests: impl Iterator<Item = &'a Request<'a>>) -> Vec<Answer> {
        let mut raw = Vec::new();
        let read: Vec<Result<(), RpcError>> = requests
            .map(|request| {
                let mut params = request.params()?;
                let transaction: Bytes = params.required("transaction")?;
                params.end()?;
                raw.push(transaction);
                Ok(())
            })
            .collect();
        let mut sent = self.chain.submit_batch(raw).into_iter();
        read.into_iter()
            .map(|read| {
                read?;
                let hash = sent
                    .next()
                    .ok_or_else(|| RpcError::internal("the chain gave too few answers"))?;
                answer(&hash.map_err(RpcError::from)?)
            })
            .collect()
    }

    fn within_limit(&self, written: usize, answer: Answer) -> Answer {
        match answer {
            Ok(result) if written.saturating_add(result.len()) > self.options.limits.response_bytes => {
                let limit = self.options.limits.response_bytes;
                Err(RpcError::limit(format!(
                    "the answer is too large, at most {limit} bytes are sent at once"
                )))
            }
            answer => answer,
        }
    }

    fn call(&self, request: &Request<'_>, session: Option<&Session>) -> Answer {
        let mut params = request.params()?;
        let method = request.method.as_ref();
        let answer = self.route(method, &mut params, session)?;
        match answer {
            Some(answer) => Ok(answer),
            None => Err(RpcError::method_not_found(method)),
        }
    }

    /// Runs a method; none where there is no such method.
    fn route(
        &self,
        method: &str,
        params: &mut Params<'_>,
        session: Option<&Session>,
    ) -> Result<Option<Vec<u8>>, RpcError> {
        let answer = match method {
            "eth_chainId" => blocks::chain_id(self, params),
            "net_version" => blocks::net_version(self, params),
            "web3_clientVersion" => blocks::client_version(params),
            "eth_syncing" => blocks::syncing(params),
            "eth_blockNumber" => blocks::block_number(self, params),
            "eth_getBlockByNumber" => blocks::block_by_number(self, params),
            "eth_getBlockByHash" => blocks::block_by_hash(self, params),
            "eth_getBlockReceipts" => blocks::block_receipts(self, params),
            "eth_getBlockTransactionCountByNumber" => blocks::transaction_count_by_number(self, params),
            "eth_getBlockTransactionCountByHash" => blocks::transaction_count_by_hash(self, params),
            "eth_getTransactionByBlockNumberAndIndex" => {
                blocks::transaction_by_number_and_index(self, params)
            }
            "eth_getTransactionByBlockHashAndIndex" => blocks::transaction_by_hash_and_index(self, params),

            "eth_getTransactionByHash" => transactions::by_hash(self, params),
            "eth_getRawTransactionByHash" => transactions::raw_by_hash(self, params),
            "eth_getTransactionReceipt" => transactions::receipt(self, params),
            "eth_sendRawTransaction" => transactions::send_raw(self, params),

            "eth_getBalance" => calls::balance(self, params),
            "eth_getTransactionCount" => calls::transaction_count(self, params),
            "eth_getCode" => calls::code(self, params),
            "eth_getStorageAt" => calls::storage_at(self, params),
            "eth_getProof" => proofs::get_proof(self, params),
            "eth_call" => calls::call(self, params),
            "eth_estimateGas" => calls::estimate_gas(self, params),

            "eth_gasPrice" => fees::gas_price(self, params),
            "eth_maxPriorityFeePerGas" => fees::max_priority_fee(params),
            "eth_feeHistory" => fees::fee_history(self, params),

            "eth_getLogs" => logs::get_logs(self, params),
            "eth_newFilter" => logs::new_filter(self, params),
            "eth_newBlockFilter" => logs::new_block_filter(self, params),
            "eth_newPendingTransactionFilter" => logs::new_pending_transaction_filter(self, params),
            "eth_getFilterChanges" => logs::filter_changes(self, params),
            "eth_getFilterLogs" => logs::filter_logs(self, params),
            "eth_uninstallFilter" => logs::uninstall_filter(self, params),

            "eth_subscribe" | "eth_unsubscribe" => match session {
                Some(session) if method == "eth_subscribe" => subscriptions::subscribe(self, session, params),
                Some(session) => subscriptions::unsubscribe(session, params),
                None => Err(RpcError::new(
                    super::error::METHOD_NOT_FOUND,
                    format!("{method} needs a WebSocket connection; over HTTP use filters"),
                )),
            },

            // Wallets ask; without the option there are no accounts here, as on a public node.
            "eth_accounts" if !self.options.development => params.end().and_then(|()| answer::<[(); 0]>(&[])),
            _ if self.options.development => return development::route(self, method, params),
            _ => return Ok(None),
        };
        answer.map(Some)
    }
}

fn is_sending(call: &Result<Request<'_>, RpcError>) -> bool {
    call.as_ref()
        .is_ok_and(|request| request.method == "eth_sendRawTransaction")
}
