//! The control endpoint: `GET /` tells the faults and counts, `PUT /` with a [`Faults`] text sets them.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use milvus_base::clock;
use tokio::net::TcpListener;

use crate::faults::Faults;
use crate::server::{Answer, Shared};

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            clock::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let answer = service_fn(|request| answer(request, &shared));
        // One client at a time; what breaks its connection is its own affair.
        let _ = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let reply = |status, text: String| {
        let mut response = Response::new(s3s::Body::from(text));
        *response.status_mut() = status;
        Ok(response)
    };
    if *request.method() == Method::GET {
        return reply(StatusCode::OK, shared.report());
    }
    if *request.method() != Method::PUT {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "want GET or PUT\n".to_owned());
    }
    let mut text = Vec::new();
    let mut body = s3s::Body::from(request.into_body());
    while let Ok(Some(chunk)) = body.try_next().await {
        text.extend_from_slice(&chunk);
    }
    match String::from_utf8_lossy(&text).trim().parse::<Faults>() {
        Ok(faults) => {
            shared.set_faults(faults);
            reply(StatusCode::OK, shared.report())
        }
        Err(error) => reply(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
