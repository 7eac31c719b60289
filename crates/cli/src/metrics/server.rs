//! Serves a page of metrics to this machine, on a thread of its own.
//!
//! Whoever may read it learns how a study goes and nothing about its data; still it is for who runs the process, so only loopback
//! addresses are served, and never the port that members use.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::error::{CliError, Code};

/// Time for one scrape: a scraper on this machine needs none of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest head of a request.
const HEAD_BYTES: usize = 8 << 10;
/// Pause after the system refuses a connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves what `page` gives at `/metrics` until the process ends; the address, with the port that was chosen.
///
/// # Errors
/// [`Code::BadValue`] for an address that others can reach, [`Code::PortTaken`].
pub(super) fn serve(
    address: SocketAddr,
    page: impl Fn() -> String + Send + 'static,
) -> Result<SocketAddr, CliError> {
    if !address.ip().is_loopback() {
        return Err(CliError::new(
            Code::BadValue,
            format!(
                "metrics are served to this machine only, and {} is not it",
                address.ip()
            ),
        )
        .why("whoever reaches them learns how the study goes")
        .fix(format!(
            "--metrics 127.0.0.1:{}, and a proxy in front where another machine collects them",
            address.port()
        )));
    }
    let taken = |error: io::Error| {
        CliError::new(Code::PortTaken, format!("cannot listen on {address}"))
            .fact("system", error.to_string())
            .fix("choose another port with --metrics")
    };
    let listener = TcpListener::bind(address).map_err(taken)?;
    let bound = listener.local_addr().map_err(taken)?;
    thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            for stream in listener.incoming() {
                match stream {
                    // One after the other: each is short, and one who is slow is left.
                    Ok(stream) => drop(answer(stream, &page)),
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        })
        .map_err(taken)?;
    Ok(bound)
}

fn answer(mut stream: TcpStream, page: &dyn Fn() -> String) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD_BYTES {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut part = [0; 1_024];
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", page()),
        ("GET" | "HEAD", _) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "metrics are only read\n".to_owned()),
    };
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != "HEAD" {
        text.push_str(&body);
    }
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut got = String::new();
        let _ = stream.read_to_string(&mut got);
        got
    }

    #[test]
    fn a_page_is_read_at_its_path_and_nothing_else_is_there() {
        let address = serve("127.0.0.1:0".parse().unwrap(), || "cw_round 3\n".to_owned()).unwrap();
        let got = ask(address, "GET /metrics?x HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
        assert!(got.contains("text/plain; version=0.0.4"), "{got}");
        assert!(got.ends_with("\r\n\r\ncw_round 3\n"), "{got}");
        assert!(ask(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        // One who says nothing, and one who never ends, are left; the next is served.
        let silent = TcpStream::connect(address).unwrap();
        drop(silent);
        let endless = format!("GET /{} ", "x".repeat(3 * HEAD_BYTES));
        assert_eq!(ask(address, &endless), "");
        assert!(ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
    }

    #[test]
    fn an_address_that_others_reach_is_refused() {
        let error = serve("0.0.0.0:0".parse().unwrap(), String::new).unwrap_err();
        assert_eq!(error.code(), Code::BadValue);
    }
}
