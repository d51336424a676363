//! Who is connected, and what a drain would do with each: the same judgement, no change.

use super::server::{self, Facts, SQL_TIMEOUT};
use super::{Classifier, NO_SERVER, Order, choices, nobody};
use crate::clients::{self, Backend, PortInodes, RowKey, Socket, Sockets, Stage};
use crate::cordon::{Connection, Fate, Peer, SqlOutcome, Window};
use crate::failure::{Explain, Explanation};
use crate::postgres::{Row, Session, SessionError, Target};
use std::collections::HashSet;
use std::io;

#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Everybody who is connected, and who would be cut first.
    pub connections: Vec<Connection>,
    /// Remote rows and sockets.
    pub backends: usize,
    pub sockets: usize,
    pub sql: SqlOutcome,
    pub warnings: Vec<String>,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    #[error("cannot list the port's sockets: {0}")]
    Sockets(#[from] io::Error),
    #[error(transparent)]
    Processes(#[from] clients::ProcessError),
}

/// Lists every connection of a port.
pub async fn survey(order: &Order) -> Result<Survey, SurveyError> {
    let mut sockets = Sockets::open()?;
    let mut classifier = Classifier::new(&order.pass, &order.spared)?;
    let mut connected = sockets.connected(order.port)?;
    connected.retain(|socket| socket.state.is_open());
    let inodes = PortInodes::new(&sockets.listening(order.port)?, &connected);
    let mut survey = Survey::default();
    let mut rows = Vec::new();
    let mut backends = Vec::new();
    for process in &order.servers {
        let of_server = clients::backends(process, &inodes)?;
        let target = order.target(process.pid);
        match ask(&target).await {
            Ok((facts, prepared)) => {
                let choices = choices::choose(&mut classifier, order, &facts)?;
                classifier.allow(&choices.pass);
                classifier.spare(choices.spared);
                survey.warnings.extend(choices.warnings);
                rows.extend(facts.rows);
                if prepared > 0 {
                    survey.warnings.push(format!(
                        "{prepared} prepared transactions survive a drain and keep their locks; see pg_prepared_xacts"
                    ));
                }
            }
            Err(error) => {
                survey.sql = SqlOutcome::NotUsed(error.to_string());
                for address in of_server.iter().filter_map(choices::standby_by_title) {
                    match order.keep.replication {
                        true => classifier.allow(&[address]),
                        false => survey.warnings.push(choices::unknown_standby(address)),
                    }
                }
            }
        }
        backends.extend(of_server);
    }
    if !order.keep.spare.is_empty() && survey.sql != SqlOutcome::Used {
        let refused = "--spare needs SQL to know whose connections stay: start would fail";
        survey.warnings.push(refused.to_owned());
    }
    if order.servers.is_empty() {
        survey.sql = SqlOutcome::NotUsed(NO_SERVER.to_owned());
    }
    if let Some(why) = &order.foreign_listener {
        survey.sql = SqlOutcome::NotUsed(why.clone());
    }

    let mut shown = HashSet::new();
    for joined in clients::join(&connected, &backends, &rows, key) {
        let socket = joined.socket;
        let fate = classifier.fate(socket.remote, socket.interface)?;
        survey.sockets += usize::from(fate == Fate::Cut);
        let pid = joined.backend.map(|backend| backend.pid);
        let peer = match joined.row {
            Some(row) => {
                shown.insert(row.pid);
                survey.backends += usize::from(fate == Fate::Cut);
                server::peer(order.port, pid.or(Some(row.pid)), row)
            }
            None => Peer {
                pid,
                state: stage(socket, joined.backend),
                ..nobody(order.port, Some(socket.remote))
            },
        };
        survey.connections.push(connection(peer, fate));
    }
    for row in rows.iter().filter(|row| !shown.contains(&row.pid)) {
        let fate = match server::client(row) {
            Some(client) => classifier.fate(client, 0)?,
            // Unix-socket clients; the server's own processes are nobody's connection.
            None if row.backend_type == "client backend" => Fate::Local,
            None => continue,
        };
        survey.backends += usize::from(fate == Fate::Cut);
        let peer = server::peer(order.port, Some(row.pid), row);
        survey.connections.push(connection(peer, fate));
    }
    survey.connections.sort_by_key(|c| (c.fate as u8, c.peer.pid));
    Ok(survey)
}

async fn ask(target: &Target) -> Result<(Facts, usize), SessionError> {
    let session = Session::open(target, SQL_TIMEOUT).await?;
    let facts = server::facts(&session).await.map_err(SessionError::Check)?;
    let prepared = session.prepared_transactions().await;
    Ok((facts, prepared.map_err(SessionError::Check)?))
}

fn key(row: &Row) -> Option<RowKey> {
    Some(RowKey { pid: row.pid, client: server::client(row)? })
}

/// Who has a connection to a port, told by its sockets alone: nothing is asked that could
/// keep anybody waiting.
pub fn connected(window: &Window) -> io::Result<Vec<Connection>> {
    let cordon = &window.cordon;
    let mut classifier = Classifier::new(&cordon.pass, &cordon.spared)?;
    let mut connections = Vec::new();
    for socket in Sockets::open()?.connected(cordon.port)? {
        if socket.state.is_open() {
            let fate = classifier.fate(socket.remote, socket.interface)?;
            let state = stage(&socket, None);
            let peer = Peer { state, ..nobody(cordon.port, Some(socket.remote)) };
            connections.push(connection(peer, fate));
        }
    }
    connections.sort_by_key(|connection| (connection.fate as u8, connection.peer.client));
    Ok(connections)
}

/// What a connection without a row is doing.
fn stage(socket: &Socket, backend: Option<&Backend>) -> String {
    match backend {
        _ if socket.is_unaccepted() => "not yet accepted".to_owned(),
        Some(backend) if backend.stage == Stage::Startup => "in startup".to_owned(),
        Some(backend) => backend.title.trim().to_owned(),
        None => "open".to_owned(),
    }
}

fn connection(peer: Peer, fate: Fate) -> Connection {
    let why = match (fate, peer.client) {
        (Fate::Local, None) => "it came through the Unix socket",
        (Fate::Local, Some(_)) => "this host's routing calls its address local",
        (Fate::Pass, _) => "its address is on the pass list",
        (Fate::Spared, _) => "its flow is let through",
        (Fate::Cut, _) => "it is remote",
    };
    Connection { peer, fate, why: why.to_owned() }
}

impl Explain for SurveyError {
    fn explain(&self) -> Explanation {
        clients::unlisted()
    }
}
