//! What a process says of itself to whoever watches it: `--metrics ADDRESS`. Page: `docs/reference/metrics.md`.

mod catalogue;
mod log;
mod server;
mod study;
mod text;

use std::{net::SocketAddr, sync::Arc};

use counterweight_chain::metered::{CallCounts, Metered};

pub(crate) use log::serve_log_metrics;
pub(crate) use study::StudyMetrics;

use crate::{commands::Context, error::CliError, session::Session};

/// Where to serve metrics.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct MetricsAddress {
    /// Serve metrics for Prometheus at this address of this machine, at /metrics
    #[arg(long = "metrics", value_name = "ADDR")]
    pub(crate) address: Option<SocketAddr>,
}

impl MetricsAddress {
    /// Has a session's study watched, where that is asked for.
    ///
    /// # Errors
    /// As [`server::serve`].
    pub(crate) fn watch(self, session: &mut Session<'_>, context: &Context) -> Result<(), CliError> {
        let Some(address) = self.address else {
            return Ok(());
        };
        let calls = Arc::new(CallCounts::default());
        let metrics = Arc::new(StudyMetrics::new(Arc::clone(&calls)));
        let served = Arc::clone(&metrics);
        said(server::serve(address, move || served.page())?, context);
        session.network = Arc::new(Metered::new(Arc::clone(&session.network), calls));
        session.metrics = Some(metrics);
        Ok(())
    }
}

fn said(address: SocketAddr, context: &Context) {
    context
        .console
        .did("Serving", format!("metrics at http://{address}/metrics"));
}
