//! Answers scrapes over HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use super::families::families;
use super::looks::Looks;
use super::text::{Form, text};
use store_client::{Place, Problem, tell};

/// Connections at once; more of them wait to be taken.
const CONNECTIONS: usize = 64;

/// How long a client may take to ask. Those that say nothing are not to keep a scrape from being answered.
const QUESTION: Duration = Duration::from_secs(1);

/// Until descriptors are looked for again, when there was none for a client.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is ended.
pub fn serve(address: SocketAddr, store: Place) -> Result<(), Problem> {
    let problem = |error: std::io::Error| Problem::new(format!("{address}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(problem)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(problem)?;
        // Another port than asked for if that is 0.
        let bound = listener.local_addr().map_err(problem)?;
        tell(format_args!("xs-trace: metrics at http://{bound}/metrics"));
        let looks = Arc::new(Looks::new(PATIENCE / 2, move || super::look(&store)));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // It is never closed.
            let Ok(place) = connections.clone().acquire_owned().await else { return Ok(()) };
            // A client that is gone before it was taken, or no descriptor left: the next one counts.
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let looks = looks.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| answer(request, looks.clone()));
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(QUESTION)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // How it ends is the client's affair.
                let _ = timeout(PATIENCE, served).await;
                drop(place);
            });
        }
    })
}

async fn answer(request: Request<Incoming>, looks: Arc<Looks>) -> Result<Response<Full<Bytes>>, Infallible> {
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let form = match accepts {
        Some(accepts) if accepts.contains("application/openmetrics-text") => Form::OpenMetrics,
        _ => Form::Text,
    };
    let said = |status: StatusCode, kind: &'static str, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    if request.method() != Method::GET {
        let mut refused = said(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is possible\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return Ok(refused);
    }
    if !matches!(request.uri().path(), "/" | "/metrics") {
        return Ok(said(StatusCode::NOT_FOUND, "text/plain", "there is only /metrics\n".into()));
    }
    let stats = looks.latest(Instant::now()).await;
    Ok(said(StatusCode::OK, form.content_type(), text(&families(stats.as_deref()), form)))
}
