//! As much of PostgreSQL's protocol 3.0 as a client with trust or peer login needs
//! (PostgreSQL manual, "Message Formats").

use std::fmt;

/// The rows of an answer, each value as text, NULL as `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// What an ErrorResponse says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// The code, such as `57P01`; empty where none was sent.
    pub sqlstate: String,
    /// The text.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity, self.message, self.sqlstate)
    }
}

/// A message of the server that a session has a use for.
#[derive(Debug)]
pub enum Message {
    /// Authentication: 0 is done, others ask for something.
    Authentication(u32),
    /// The backend's process id and cancel key.
    Key(i32, u32),
    /// One row.
    Row(Vec<Option<String>>),
    /// An error; FATAL and PANIC end the session.
    Failure(Failure),
    /// The answer is complete.
    Ready,
    /// Anything else.
    Other,
}

/// A startup packet with these parameters.
pub fn startup(parameters: &[(String, String)]) -> Vec<u8> {
    let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    with_length(&body)
}

/// A cancel request for this backend.
pub fn cancel(pid: i32, key: u32) -> Vec<u8> {
    let code = 80_877_102_u32.to_be_bytes();
    with_length(&[code, pid.to_be_bytes(), key.to_be_bytes()].concat())
}

/// A simple query.
pub fn query(sql: &str) -> Vec<u8> {
    let mut message = vec![b'Q'];
    message.extend(with_length(&[sql.as_bytes(), &[0]].concat()));
    message
}

/// Takes the first whole message off the buffer.
pub fn take(buffer: &mut Vec<u8>) -> Option<Message> {
    let length = u32::from_be_bytes(buffer.get(1..5)?.try_into().ok()?) as usize;
    if buffer.len() < 1 + length {
        return None;
    }
    let whole: Vec<u8> = buffer.drain(..=length).collect();
    Some(parse(whole[0], &whole[5..]))
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&length.to_be_bytes(), body].concat()
}

fn parse(tag: u8, body: &[u8]) -> Message {
    let number = |at: usize| {
        let bytes = body[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    };
    match tag {
        b'R' => Message::Authentication(number(0)),
        b'K' => Message::Key(number(0) as i32, number(4)),
        b'D' => Message::Row(row(body)),
        b'E' => Message::Failure(failure(body)),
        b'Z' => Message::Ready,
        _ => Message::Other,
    }
}

fn row(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = &body[2..];
    let mut values = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        rest = tail;
        // A NULL has the length -1.
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push(None);
            continue;
        };
        let (value, tail) = rest.split_at(length);
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = tail;
    }
    values
}

fn failure(body: &[u8]) -> Failure {
    let field = |wanted: u8| {
        body.split(|byte| *byte == 0)
            .find_map(|field| field.strip_prefix(&[wanted]))
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .unwrap_or_default()
    };
    Failure {
        // V is S untranslated.
        severity: field(b'V'),
        sqlstate: field(b'C'),
        message: field(b'M'),
    }
}
