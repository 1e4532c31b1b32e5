//! A call is a stream of its own: the argument and the end, then the outcome and the end.
//!
//! The first [`REQUEST_FREE`] bytes of an argument and a whole outcome may be sent unasked, so that a small call takes one round
//! trip. Larger arguments wait for a grant, of which a session has [`MAX_GRANTS`] at a time: that bounds what a peer can make
//! this side hold.

use bitters_wire::{
    codec::{self, DecodeError},
    data::Data,
    failure::{Code, Executed, Failure},
    limits::MAX_MESSAGE,
    name::Name,
    rpc::Outcome,
};

use crate::{
    keys::CallKey,
    message::{Reason, clip},
    over::Over,
};

/// Bytes of an argument that are sent unasked.
pub const REQUEST_FREE: u64 = 16 * 1024;

/// Arguments longer than that which a session receives at a time.
pub const MAX_GRANTS: usize = 8;

/// Bytes of an encoded argument or outcome: the largest content, two tags and its length.
pub const CALL_LIMIT: u64 = MAX_MESSAGE as u64 + 8;

/// The caller's side.
#[derive(Debug)]
pub struct Caller {
    pub call: CallKey,
    /// What has arrived of the outcome.
    pub reply: Vec<u8>,
}

/// The handler's side.
#[derive(Debug)]
pub enum Handler {
    /// The argument arrives.
    Collecting { method: Name, request: Vec<u8> },
    /// The site has replied.
    Replied,
    /// The site has the argument.
    Told(CallKey),
}

impl Caller {
    /// What the outcome is, now that all of it has arrived.
    pub fn outcome(&self) -> Result<Data, Failure> {
        let remote = |message: &str| Failure::new(Code::Remote, message).executed(Executed::Yes);
        match codec::decode(&self.reply, self.reply.len()) {
            Ok(Outcome::Ok(data)) if data.fits() => Ok(data),
            Ok(Outcome::Err(message)) => Err(remote(&message)),
            Ok(Outcome::Ok(_)) | Err(_) => Err(remote("the peer's reply can't be read")),
        }
    }
}

/// The argument, now that all of it has arrived.
pub fn read_request(request: &[u8]) -> Result<Data, DecodeError> {
    let data: Data = codec::decode(request, request.len())?;
    if data.fits() { Ok(data) } else { Err(DecodeError::Malformed { what: "Data" }) }
}

/// The outcome's bytes, or why the caller gets none.
pub fn write_outcome(outcome: Outcome) -> Result<Vec<u8>, Reason> {
    match outcome {
        Outcome::Err(message) => Ok(codec::encode(&Outcome::Err(clip(&message).to_owned()))),
        Outcome::Ok(data) if data.fits() => Ok(codec::encode(&Outcome::Ok(data))),
        Outcome::Ok(_) => Err(Reason::TooLarge),
    }
}

/// What a reset means to the site, whether of a stream or of a call.
pub fn reset_failure(reason: Reason) -> Failure {
    let (code, message, executed) = match reason {
        Reason::Aborted(text) => (Code::Remote, clip(&text).to_owned(), Executed::Unknown),
        Reason::Cancelled => (Code::Remote, "the peer gave it up".to_owned(), Executed::Unknown),
        Reason::NotServed => (Code::NotFound, "the peer doesn't serve it".to_owned(), Executed::No),
        Reason::Protocol => (Code::Remote, "the peer saw a broken protocol".to_owned(), Executed::Unknown),
        Reason::Quota => (Code::Quota, "too much is open with the peer".to_owned(), Executed::No),
        Reason::TooLarge => (Code::TooLarge, "the result is too large".to_owned(), Executed::Yes),
    };
    Failure::new(code, message).executed(executed)
}

/// What a session's end means to a call: its handler may have run if there ever was a session.
pub fn over_failure(over: Over, was_up: bool) -> Failure {
    over.failure().executed(if was_up { Executed::Unknown } else { Executed::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_call_keeps_to_the_limit() {
        let data = Data::Bytes(vec![7; MAX_MESSAGE]);
        let request = codec::encode(&data);
        let reply = write_outcome(Outcome::Ok(data.clone())).unwrap();

        assert!(request.len() as u64 <= CALL_LIMIT && reply.len() as u64 <= CALL_LIMIT);
        assert_eq!(read_request(&request), Ok(data.clone()));
        assert_eq!(Caller { call: CallKey(1), reply }.outcome(), Ok(data));
    }

    #[test]
    fn a_result_too_large_is_no_result() {
        let data = Data::Text("x".repeat(MAX_MESSAGE + 1));
        assert_eq!(write_outcome(Outcome::Ok(data)), Err(Reason::TooLarge));
    }

    #[test]
    fn what_a_handler_threw_arrives_as_remote() {
        let reply = write_outcome(Outcome::Err("no such room".to_owned())).unwrap();
        let failure = Caller { call: CallKey(1), reply }.outcome().unwrap_err();
        assert_eq!(failure, Failure::new(Code::Remote, "no such room").executed(Executed::Yes));
    }

    #[test]
    fn rubbish_is_neither_argument_nor_outcome() {
        assert!(read_request(b"\xff").is_err());
        let failure = Caller { call: CallKey(1), reply: vec![9] }.outcome().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Remote, Some(Executed::Yes)));
    }
}
