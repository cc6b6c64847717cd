//! What stands between a node and its database, and can fail as networks do.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When a connection meets its fate.
#[derive(Debug, Clone)]
pub(crate) enum When {
    /// At once, and so do those that are made.
    Always,
    /// At once, but not those that are made from now on: the server is gone, and another one has
    /// taken its address.
    Made,
    /// As soon as the node has said this on it, be it long ago.
    Said(&'static str),
    /// When the node says this. It is not handed on.
    Asked(String),
    /// When the node has said this, and this many bytes of the answer are through.
    Answered(String, usize),
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing comes through, and nobody is told. Healed, it goes on where it was.
    Hang,
    /// Nothing comes through ever again but the end of the other side.
    Lose,
    /// It is reset.
    Cut,
}

/// When, what, and how many connections there had been by then.
type Rule = Option<(When, Fate, u32)>;

/// A TCP proxy on a port of its own. It forwards until it is told otherwise.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    server: Arc<AtomicU16>,
    rule: watch::Sender<Rule>,
    struck: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before a port of this machine.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (rule, rules) = watch::channel(None);
        let struck = Arc::new(AtomicBool::new(false));
        let strike = struck.clone();
        let made = Arc::new(AtomicU32::new(0));
        let count = made.clone();
        let server = Arc::new(AtomicU16::new(port));
        let leads_to = server.clone();
        let listening = tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (rules, strike) = (rules.clone(), strike.clone());
                let port = leads_to.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    if let Ok(server) = TcpStream::connect(server).await {
                        Line {
                            node,
                            server,
                            number,
                            said: Vec::new(),
                            asking: Vec::new(),
                            asked: None,
                        }
                        .carry(rules, &strike)
                        .await;
                    }
                });
            }
        });
        Self { port: own, server, rule, struck, made, listening }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections that are made from now on lead to another server, as an address does that was
    /// given to it.
    pub(crate) fn lead_to(&self, port: u16) {
        self.server.store(port, Ordering::SeqCst);
    }

    /// From now on connections fail in this way.
    pub(crate) fn fail(&self, when: When, fate: Fate) {
        self.struck.store(false, Ordering::SeqCst);
        self.rule.send_replace(Some((when, fate, self.made.load(Ordering::SeqCst))));
    }

    /// From now on nothing fails. What hung goes on.
    pub(crate) fn heal(&self) {
        self.rule.send_replace(None);
    }

    /// Whether a connection met its fate since this was last asked.
    pub(crate) fn struck(&self) -> bool {
        self.struck.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// How much of what a node said is remembered.
const MEMORY: usize = 64 * 1024;

struct Line {
    node: TcpStream,
    server: TcpStream,
    number: u32,
    /// What the node said first.
    said: Vec<u8>,
    /// What it said since the server last answered: a request may arrive in parts.
    asking: Vec<u8>,
    /// How much was answered since the node asked what the rule is about.
    asked: Option<usize>,
}

/// What to do with bytes that arrived.
#[derive(Debug, Clone, Copy)]
enum Next {
    Forward,
    /// So many of them still come through.
    Meet(Fate, usize),
}

impl Line {
    async fn carry(mut self, mut rules: watch::Receiver<Rule>, strike: &AtomicBool) {
        let (mut request, mut answer) = (vec![0; MEMORY], vec![0; MEMORY]);
        loop {
            let rule = rules.borrow_and_update().clone();
            if let Some(fate) = self.fate_already(&rule) {
                strike.store(true, Ordering::SeqCst);
                if !self.meet(fate, &mut rules).await {
                    return;
                }
                continue;
            }
            let (next, bytes, to) = tokio::select! {
                changed = rules.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                read = self.node.read(&mut request) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        let bytes = &request[..count];
                        (self.hear(&rule, bytes), bytes, &mut self.server)
                    }
                },
                read = self.server.read(&mut answer) => match read {
                    Ok(0) => return,
                    Err(_) => return reset(&self.node),
                    Ok(count) => {
                        let bytes = &answer[..count];
                        (self.answered(&rule, count), bytes, &mut self.node)
                    }
                },
            };
            let through = match next {
                Next::Forward => bytes.len(),
                Next::Meet(_, through) => through,
            };
            if to.write_all(&bytes[..through]).await.is_err() {
                return;
            }
            if let Next::Meet(fate, through) = next {
                let rest = bytes[through..].to_vec();
                let to_node = matches!(rule, Some((When::Answered(..), ..)));
                strike.store(true, Ordering::SeqCst);
                if !self.meet(fate, &mut rules).await {
                    return;
                }
                let to = if to_node { &mut self.node } else { &mut self.server };
                if to.write_all(&rest).await.is_err() {
                    return;
                }
            }
        }
    }

    /// What a rule says of a connection whatever comes next.
    fn fate_already(&self, rule: &Rule) -> Option<Fate> {
        match rule {
            Some((When::Always, fate, _)) => Some(*fate),
            Some((When::Made, fate, made)) => (self.number < *made).then_some(*fate),
            Some((When::Said(text), fate, _)) => holds(&self.said, text).then_some(*fate),
            _ => None,
        }
    }

    fn hear(&mut self, rule: &Rule, bytes: &[u8]) -> Next {
        let room = MEMORY.saturating_sub(self.said.len()).min(bytes.len());
        self.said.extend_from_slice(&bytes[..room]);
        self.asking.extend_from_slice(bytes);
        match rule {
            Some((When::Asked(text), fate, _)) if holds(&self.asking, text) => Next::Meet(*fate, 0),
            Some((When::Said(text), fate, _)) if holds(&self.said, text) => Next::Meet(*fate, 0),
            Some((When::Answered(text, _), ..)) if holds(&self.asking, text) => {
                self.asked = Some(0);
                Next::Forward
            }
            _ => Next::Forward,
        }
    }

    fn answered(&mut self, rule: &Rule, count: usize) -> Next {
        self.asking.clear();
        if let (Some((When::Answered(_, most), fate, _)), Some(answered)) = (rule, &mut self.asked)
        {
            let left = most.saturating_sub(*answered);
            *answered += count;
            if count > left {
                return Next::Meet(*fate, left);
            }
        }
        Next::Forward
    }

    /// Whether the connection goes on afterwards.
    async fn meet(&mut self, fate: Fate, rules: &mut watch::Receiver<Rule>) -> bool {
        match fate {
            Fate::Cut => {
                reset(&self.node);
                reset(&self.server);
                false
            }
            Fate::Lose => {
                // Each hears of the other's end, and of nothing else.
                let (mut request, mut answer) = ([0; 1024], [0; 1024]);
                loop {
                    tokio::select! {
                        read = self.node.read(&mut request) => {
                            if !matches!(read, Ok(1..)) {
                                return false;
                            }
                        }
                        read = self.server.read(&mut answer) => {
                            if !matches!(read, Ok(1..)) {
                                reset(&self.node);
                                return false;
                            }
                        }
                    }
                }
            }
            Fate::Hang => {
                self.asked = None;
                rules.wait_for(Option::is_none).await.is_ok()
            }
        }
    }
}

/// Makes a connection end with a reset once it is dropped.
fn reset(connection: &TcpStream) {
    let _ = connection.set_zero_linger();
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
