//! Word of ends and cancellations, from Redis to whoever listens in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::link::Link;

/// Events that a slow listener may lag behind before it must look for itself.
const BACKLOG: usize = 1024;
/// How long a listener waits for its subscription; it looks for itself now and
/// then, so that it may go on without.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);
/// A connection that says nothing for so long is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(15);

/// One subscriber connection per process, opened when somebody first listens.
#[derive(Debug)]
pub(crate) struct Bus {
    link: Arc<Link>,
    channels: Arc<Channels>,
    wishes: Mutex<Option<mpsc::UnboundedSender<Wish>>>,
}

/// Who listens to what in this process.
#[derive(Debug, Default)]
struct Channels(Mutex<HashMap<String, broadcast::Sender<Event>>>);

/// What a listener hears.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Somebody published this.
    Message(Arc<[u8]>),
    /// Something may have been missed.
    Gap,
}

/// A listener's wish to be told when its channel is subscribed to.
struct Wish {
    channel: String,
    granted: oneshot::Sender<()>,
}

impl Bus {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            channels: Arc::default(),
            wishes: Mutex::default(),
        }
    }

    /// What is published on a channel from now on.
    ///
    /// While Redis is away nothing comes; once it is back, an [`Event::Gap`].
    pub(crate) async fn listen(&self, channel: &str) -> broadcast::Receiver<Event> {
        let events = self.channels.listen(channel);
        let (granted, grant) = oneshot::channel();
        // Everybody asks, for an earlier listener's wish may not be granted yet;
        // Redis takes a second subscription for the first.
        self.ask(Wish {
            channel: channel.to_owned(),
            granted,
        });
        let _ = tokio::time::timeout(SUBSCRIBE_TIMEOUT, grant).await;
        events
    }

    fn ask(&self, wish: Wish) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = wishes.take().filter(|sender| !sender.is_closed());
        let sender = sender.unwrap_or_else(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let (link, channels) = (Arc::clone(&self.link), Arc::clone(&self.channels));
            tokio::spawn(serve(link, channels, receiver));
            sender
        });
        // If the task is gone after all, the listener waits in vain and goes on without.
        let _ = sender.send(wish);
        *wishes = Some(sender);
    }
}

impl Channels {
    fn listen(&self, channel: &str) -> broadcast::Receiver<Event> {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels
            .entry(channel.to_owned())
            .or_insert_with(|| broadcast::channel(BACKLOG).0)
            .subscribe()
    }

    fn names(&self) -> Vec<String> {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels.keys().cloned().collect()
    }

    fn publish(&self, channel: &str, message: &[u8]) {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = channels.get(channel) {
            let _ = sender.send(Event::Message(message.into()));
        }
    }

    fn publish_gap(&self) {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in channels.values() {
            let _ = sender.send(Event::Gap);
        }
    }
}

/// Lives until the bus is dropped, through any number of connections.
async fn serve(
    link: Arc<Link>,
    channels: Arc<Channels>,
    mut wishes: mpsc::UnboundedReceiver<Wish>,
) {
    while !wishes.is_closed() {
        if let Ok(pubsub) = link.pubsub().await {
            let (mut sink, stream) = pubsub.split();
            if sink.subscribe(channels.names()).await.is_ok() {
                channels.publish_gap();
                pass_on(sink, stream, &channels, &mut wishes).await;
            }
        }
        if !wishes.is_closed() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Passes messages on until the connection or the bus is gone.
async fn pass_on(
    mut sink: PubSubSink,
    mut stream: PubSubStream,
    channels: &Channels,
    wishes: &mut mpsc::UnboundedReceiver<Wish>,
) {
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(message) => {
                    channels.publish(message.get_channel_name(), message.get_payload_bytes());
                }
                None => return,
            },
            wish = wishes.recv() => match wish {
                Some(wish) if sink.subscribe(&wish.channel).await.is_ok() => {
                    let _ = wish.granted.send(());
                }
                _ => return,
            },
            () = tokio::time::sleep(SILENCE) => {
                let ping = sink.ping_message::<redis::Value>("alive");
                if !matches!(tokio::time::timeout(PAUSE * 10, ping).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
