//! How connections are made, and on which runtime they live.

use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Socket};

use crate::store::StoreError;

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The runtime on which a store was made. Its connections and timers live there, whichever
/// runtime or executor takes a step.
#[derive(Debug, Clone)]
pub(super) struct Home(Handle);

impl Home {
    pub(super) fn current() -> Result<Self, StoreError> {
        Handle::try_current().map(Self).map_err(StoreError::unavailable)
    }

    /// What a future gives, if it does so in time.
    pub(super) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let timed = {
            let _entered = self.0.enter();
            tokio::time::timeout(limit, future)
        };
        timed.await.ok()
    }

    pub(super) async fn pause(&self, length: Duration) {
        self.within(length, std::future::pending::<()>()).await;
    }
}

/// A future that makes its sockets and timers on another runtime than the one it is polled on.
struct Entered<'a, T> {
    home: Home,
    future: BoxFuture<'a, T>,
}

impl<T> Future for Entered<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let handle = self.home.0.clone();
        let _entered = handle.enter();
        self.future.as_mut().poll(context)
    }
}

/// What a connection gives when it is polled: a message, an error, or its end.
pub(super) type Messages =
    Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> + Send>;

/// Makes connections as a URL and the store's options say.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) home: Home,
    #[cfg(feature = "postgres-tls")]
    pub(super) tls: super::tls::MakeTls,
    /// What every connection is told first.
    pub(super) greeting: String,
    /// How long each but the last of several hosts may take to let us in.
    pub(super) patience: Duration,
    /// Which of them did last.
    pub(super) last: Arc<AtomicUsize>,
}

impl Connector {
    /// A new connection, and what drives it: nothing happens unless it is polled.
    pub(super) fn open(
        &self,
        config: &Config,
    ) -> BoxFuture<'static, Result<(Client, Messages), Error>> {
        let (connector, config) = (self.clone(), config.clone());
        let future = async move { connector.connect_in_turn(config).await };
        Box::pin(Entered { home: self.home.clone(), future: Box::pin(future) })
    }

    /// Tries one host after the other, that which let us in last before the others. The driver
    /// does so too, but waits for ever for one that is silent.
    async fn connect_in_turn(&self, config: Config) -> Result<(Client, Messages), Error> {
        let hosts = each_host(&config);
        let first = self.last.load(Ordering::Relaxed);
        for place in 0..hosts.len() {
            let place = (first + place) % hosts.len();
            let Some(host) = hosts.get(place) else {
                break;
            };
            let connecting = self.connect_by_mode(host.clone());
            if let Ok(Ok(connected)) = tokio::time::timeout(self.patience, connecting).await {
                self.last.store(place, Ordering::Relaxed);
                return Ok(connected);
            }
        }
        // It is the only one, or none lets us in, and the driver says why.
        self.connect_by_mode(config).await
    }

    #[cfg(feature = "postgres-tls")]
    async fn connect_by_mode(&self, config: Config) -> Result<(Client, Messages), Error> {
        let error = match connect(&config, self.tls.clone()).await {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        // Who prefers TLS asks for no proof of who the server is, and takes what there is.
        if config.get_ssl_mode() != SslMode::Prefer || error.code().is_some() {
            return Err(error);
        }
        let mut plain = config;
        plain.ssl_mode(SslMode::Disable);
        connect(&plain, NoTls).await
    }

    #[cfg(not(feature = "postgres-tls"))]
    async fn connect_by_mode(&self, config: Config) -> Result<(Client, Messages), Error> {
        connect(&config, NoTls).await
    }
}

async fn connect<T>(config: &Config, tls: T) -> Result<(Client, Messages), Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    let messages = move |context: &mut Context<'_>| connection.poll_message(context);
    Ok((client, Box::new(messages)))
}

/// The driver of a connection: without it nothing is sent or received. It ends with the
/// connection, which ends with its client.
async fn drive(mut messages: Messages) {
    // Notices of the server are of no interest here, and an error shows where it is waited for.
    while let Some(Ok(_)) = std::future::poll_fn(|context| messages(context)).await {}
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let opening = self.open(config);
        Box::pin(async move {
            let (client, messages) = opening.await?;
            // The driver asks for a task of its own for each connection.
            let driver = self.home.0.spawn(drive(messages));
            if !self.greeting.is_empty() {
                client.batch_execute(&self.greeting).await?;
            }
            Ok((client, driver))
        })
    }
}

/// The same settings for each of several hosts alone; nothing where there is one, or the driver is
/// to choose among them.
fn each_host(config: &Config) -> Vec<Config> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    if count < 2 || config.get_load_balance_hosts() != LoadBalanceHosts::Disable {
        return Vec::new();
    }
    (0..count).map(|place| one_host(config, place)).collect()
}

fn one_host(config: &Config, place: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(place) {
        Some(Host::Tcp(host)) => {
            one.host(host);
        }
        #[cfg(unix)]
        Some(Host::Unix(path)) => {
            one.host_path(path);
        }
        None => {}
    }
    let ports = config.get_ports();
    let _ = config.get_hostaddrs().get(place).map(|address| one.hostaddr(*address));
    let _ = ports.get(place).or(ports.first()).map(|port| one.port(*port));
    let _ = config.get_user().map(|user| one.user(user));
    let _ = config.get_password().map(|password| one.password(password));
    let _ = config.get_dbname().map(|name| one.dbname(name));
    let _ = config.get_options().map(|options| one.options(options));
    let _ = config.get_application_name().map(|name| one.application_name(name));
    let _ = config.get_connect_timeout().map(|timeout| one.connect_timeout(*timeout));
    let _ = config.get_tcp_user_timeout().map(|timeout| one.tcp_user_timeout(*timeout));
    let _ = config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    let _ = config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding());
    one
}

/// Reads a URL. Beyond what the driver knows, `sslmode` may be `verify-ca` or `verify-full`:
/// with rustls, `require` verifies as `verify-full` does.
pub(super) fn read_url(url: &str) -> Result<Config, StoreError> {
    let known = |pair| match pair {
        "sslmode=verify-ca" | "sslmode=verify-full" => "sslmode=require",
        pair => pair,
    };
    let url = match url.split_once('?') {
        Some((address, query)) if address.starts_with("postgres") => {
            let query: Vec<&str> = query.split('&').map(known).collect();
            format!("{address}?{}", query.join("&"))
        }
        _ => url.to_owned(),
    };
    let mut config = Config::from_str(&url).map_err(StoreError::unavailable)?;
    if config.get_application_name().is_none() {
        config.application_name("hallpass");
    }
    // Of several servers only one has the last word on what is revoked.
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any
    {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    // Nobody listens between two ends of a Unix socket.
    let local = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
    if local && !config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.ssl_mode(SslMode::Disable);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, mode) in [
            ("postgres://u@h/d", SslMode::Prefer),
            ("postgres://u@h/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@h/d?connect_timeout=3&sslmode=verify-full", SslMode::Require),
            ("postgresql://u@h/d?sslmode=verify-ca", SslMode::Require),
            ("host=h user=u sslmode=require", SslMode::Require),
            ("postgres://u@%2Frun%2Fpostgresql/d?sslmode=require", SslMode::Disable),
            ("hostaddr=10.0.0.1 user=u sslmode=require", SslMode::Require),
        ] {
            assert_eq!(read_url(url).unwrap().get_ssl_mode(), mode, "{url}");
        }
        for wrong in ["postgres://u@h/d?sslmode=", "postgres://u@h/d?ssl=on", "x"] {
            let error = read_url(wrong).unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{wrong}");
        }
    }

    #[test]
    fn each_of_several_hosts_has_the_same_settings() {
        let settings = "u:p@{}/d?options=-c%20x&application_name=a&sslmode=require&connect_timeout=3\
            &keepalives=0&keepalives_idle=5&tcp_user_timeout=7&keepalives_interval=8\
            &keepalives_retries=9&channel_binding=disable&sslnegotiation=direct\
            &target_session_attrs=read-write";
        let url = |hosts: &str| format!("postgres://{}", settings.replace("{}", hosts));
        let several = read_url(&url("a:1,b:2")).unwrap();
        let alone = each_host(&several);
        assert_eq!(alone, ["a:1", "b:2"].map(|host| read_url(&url(host)).unwrap()));
        assert!(each_host(&read_url(&url("a")).unwrap()).is_empty());
        assert!(
            each_host(&read_url(&(url("a,b") + "&load_balance_hosts=random")).unwrap()).is_empty()
        );
    }

    #[test]
    fn of_several_servers_the_one_that_takes_writes_is_used() {
        let one = read_url("postgres://u@a/d").unwrap();
        assert_eq!(one.get_target_session_attrs(), TargetSessionAttrs::Any);
        let several = read_url("postgres://u@a,b/d").unwrap();
        assert_eq!(several.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
}
