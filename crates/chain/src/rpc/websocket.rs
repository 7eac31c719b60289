//! A WebSocket connection: requests answered in the order they came, and notifications of its subscriptions.
//!
//! A subscription remembers the next block it has not told of, and walks the chain from there whenever the head moves.
//! Nothing is queued, so a slow reader costs no memory and misses nothing; one that takes no message for
//! [`Limits::transfer_timeout`](super::Limits) is cut off.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
};

use tokio::sync::{broadcast::error::RecvError, watch};

use super::{
    methods::subscriptions::{self, Session},
    server::Server,
};

/// Talks to one client until it leaves or the server stops.
pub(crate) async fn converse(server: Arc<Server>, mut socket: WebSocket) {
    let session = Arc::new(Session::new(server.options().limits.subscriptions));
    let mut stopped = server.stopped.clone();
    let mut blocks = server.dispatcher.chain().subscribe();
    let mut pending = server.dispatcher.chain().subscribe_pending();
    loop {
        tokio::select! {
            () = until_stopped(&mut stopped) => {
                let frame = CloseFrame { code: close_code::AWAY, reason: Utf8Bytes::from_static("the node stops") };
                let _ = send(&server, &mut socket, Message::Close(Some(frame))).await;
                return;
            }
            received = socket.recv() => {
                let body = match received {
                    Some(Ok(Message::Text(text))) => Bytes::from(text),
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    // Answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                if let Some(response) = server.answer(body, Some(session.clone())).await
                    && !send_text(&server, &mut socket, response).await
                {
                    return;
                }
            }
            made = blocks.recv() => match made {
                // How many were missed does not matter: the chain is walked from where each subscription stands.
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    if !notify(&server, &session, &mut socket).await {
                        return;
                    }
                }
                Err(RecvError::Closed) => return,
            },
            taken = pending.recv() => match taken {
                Ok(hash) if session.keep_pending(hash) => {
                    if !notify(&server, &session, &mut socket).await {
                        return;
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means the server is gone, which is the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Tells all that is new. Whether the client is still there.
async fn notify(server: &Server, session: &Arc<Session>, socket: &mut WebSocket) -> bool {
    while !session.is_idle() {
        let (dispatcher, session) = (server.dispatcher.clone(), session.clone());
        let Some(notifications) = server
            .work(move || subscriptions::notifications(&dispatcher, &session))
            .await
        else {
            return false;
        };
        if notifications.is_empty() {
            break;
        }
        for notification in notifications {
            if !send_text(server, socket, notification).await {
                return false;
            }
        }
    }
    true
}

async fn send_text(server: &Server, socket: &mut WebSocket, text: Vec<u8>) -> bool {
    match Utf8Bytes::try_from(text) {
        Ok(text) => send(server, socket, Message::Text(text)).await,
        Err(_) => false,
    }
}

/// Whether the client took the message in time.
async fn send(server: &Server, socket: &mut WebSocket, message: Message) -> bool {
    let limit = server.options().limits.transfer_timeout;
    matches!(
        tokio::time::timeout(limit, socket.send(message)).await,
        Ok(Ok(()))
    )
}
