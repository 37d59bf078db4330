//! A server on this machine that plays whatever a test needs, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Request {
    /// The last message of a chat.
    pub(crate) fn question(&self) -> &str {
        self.body["messages"].as_array().and_then(|messages| messages.last()?["content"].as_str()).unwrap_or_default()
    }
}

/// What the server does with a request.
pub(crate) enum Play {
    /// Answers with a status, headers and a body.
    Answer(u16, &'static str, String),
    /// Promises more than it sends.
    CutOff,
    /// Sends without an end, a byte now and then.
    Drip,
    /// Sends without an end, as fast as it can.
    Flood,
    /// Says nothing.
    Silence,
    /// Hangs up.
    HangUp,
}

impl Play {
    pub(crate) fn json(value: &Value) -> Self {
        Self::Answer(200, "Content-Type: application/json\r\n", value.to_string())
    }

    /// A chat's answer, with tokens counted by nobody.
    pub(crate) fn says(text: &str) -> Self {
        Self::json(&json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}))
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(play: impl Fn(&Request) -> Play + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (log, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, ended, play) = (Arc::clone(&log), Arc::clone(&over), Arc::new(play));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, ended, play) = (Arc::clone(&kept), Arc::clone(&ended), Arc::clone(&play));
                // A client that goes away is no fault of the server.
                thread::spawn(move || serve(&stream, &kept, &ended, &*play));
            }
        });
        Self { url: format!("http://{address}/v1"), address, log, over, thread: Some(thread) }
    }

    /// What was asked of a path since the last call.
    pub(crate) fn take(&self, path: &str) -> Vec<Request> {
        let mut log = self.log.lock().unwrap();
        let (asked, rest) = log.drain(..).partition(|request: &Request| request.path == path);
        *log = rest;
        asked
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The head of a reply without a length.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";

fn serve(mut stream: &TcpStream, log: &Mutex<Vec<Request>>, over: &AtomicBool, play: &dyn Fn(&Request) -> Play) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let request = Request { path, authorization, body, at: Instant::now() };
    log.lock().unwrap().push(request.clone());
    match play(&request) {
        Play::Answer(status, headers, body) => {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status} Played\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").ok()?;
        }
        Play::CutOff => {
            let sent = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{\"choices\": [{\"mess";
            stream.write_all(sent).ok()?;
        }
        Play::Drip => {
            stream.write_all(ENDLESS).ok()?;
            while !over.load(Ordering::SeqCst) {
                stream.write_all(b" ").ok()?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Play::Flood => {
            stream.write_all(ENDLESS).ok()?;
            let spaces = vec![b' '; 1 << 16];
            while !over.load(Ordering::SeqCst) {
                stream.write_all(&spaces).ok()?;
            }
        }
        Play::Silence => {
            while !over.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Play::HangUp => {}
    }
    Some(())
}
