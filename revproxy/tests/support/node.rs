//! A node with one key, as the rendezvous sees it.

use std::net::SocketAddr;

use bitters_wire::{
    WIRE,
    codec::{decode, encode},
    failure::Code,
    id::PersonaId,
    keys::PersonaSecret,
    limits::MAX_RENDEZVOUS,
    rendezvous::{ToNode, ToServer, register_text},
};
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

/// What nodes call the server.
pub const HOST: &str = "node.localhost";

/// A node, and its socket.
pub struct Node {
    pub socket: WebSocketStream<TcpStream>,
    pub nonce: [u8; 32],
    /// Where it was told that the proxy is.
    pub proxies: Vec<SocketAddr>,
}

impl Node {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::connect_as(addr, HOST).await
    }

    pub async fn connect_as(addr: SocketAddr, host: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that one that doesn't read is soon sent nothing more.
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(addr).await.unwrap();
        let (socket, _) = client_async(format!("ws://{host}/rendezvous"), stream).await.unwrap();
        let mut node = Self { socket, nonce: [0; 32], proxies: Vec::new() };
        match node.hear().await {
            ToNode::Challenge { nonce, wire, .. } if wire == WIRE => Self { nonce, ..node },
            other => panic!("not a challenge: {other:?}"),
        }
    }

    pub async fn enter(addr: SocketAddr) -> Self {
        let mut node = Self::connect(addr).await;
        let entered = node.ask(&ToServer::Enter(WIRE)).await;
        let ToNode::Entered { proxies } = entered else { panic!("not entered: {entered:?}") };
        Self { proxies, ..node }
    }

    pub async fn register(addr: SocketAddr, n: u8) -> Self {
        let mut node = Self::enter(addr).await;
        node.add(n).await;
        node
    }

    /// Registers the key of this number. The server is silent when it has.
    pub async fn add(&mut self, n: u8) {
        let signature = secret(n).sign(&register_text(&self.nonce, HOST, id(n)));
        self.say(&ToServer::Register { key: id(n), signature }).await;
        assert_eq!(self.ask(&ToServer::Lookup(id(n))).await, ToNode::Here(id(n)));
    }

    pub async fn ask(&mut self, message: &ToServer) -> ToNode {
        self.say(message).await;
        self.hear().await
    }

    pub async fn say(&mut self, message: &ToServer) {
        self.send(Message::binary(encode(message))).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub async fn hear(&mut self) -> ToNode {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return decode(&bytes, MAX_RENDEZVOUS).unwrap(),
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    pub async fn hear_refusal(&mut self) -> Code {
        match self.hear().await {
            ToNode::Refused { code, .. } => code,
            other => panic!("not a refusal: {other:?}"),
        }
    }

    /// The code that the server closes with, once it has, in good order.
    pub async fn end(&mut self) -> Option<CloseCode> {
        let code = self.close_code().await;
        assert!(self.socket.next().await.is_none(), "the connection was reset");
        code
    }

    pub async fn close_code(&mut self) -> Option<CloseCode> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code),
                Ok(_) => {}
                Err(error) => panic!("not closed: {error}"),
            }
        }
    }
}

pub fn secret(n: u8) -> PersonaSecret {
    PersonaSecret::new([n; 32])
}

pub fn id(n: u8) -> PersonaId {
    secret(n).id()
}
