//! A client, with or without credentials, that sends requests to a server, in process or
//! over a socket.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, Method, header};
use seawall_kernel::Origin;
use seawall_kernel::http::Dispatcher;
use seawall_types::digest::{Algorithm, Digest};

use crate::answer::TestResponse;
use crate::image::TestImage;
use crate::wire::Wire;

/// Whom the requests go to.
#[derive(Clone)]
enum ServerKind {
    InProcess(Arc<Dispatcher>),
    Wire(Wire),
}

/// A client that sends requests.
#[derive(Clone)]
pub struct Client {
    server: ServerKind,
    /// What goes into `Authorization`, if anything.
    pub authorization: Option<String>,
}

impl Client {
    /// An anonymous client.
    pub fn anonymous(dispatcher: Arc<Dispatcher>) -> Self {
        Self {
            server: ServerKind::InProcess(dispatcher),
            authorization: None,
        }
    }

    /// An anonymous client over a socket: every request has a connection of its own.
    pub fn over(wire: Wire) -> Self {
        Self {
            server: ServerKind::Wire(wire),
            authorization: None,
        }
    }

    /// The same client with a name and a password.
    pub fn with_password(&self, user: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        Self {
            authorization: Some(format!("Basic {pair}")),
            ..self.clone()
        }
    }

    /// The same client with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..self.clone()
        }
    }

    /// The same client with a token for `scopes`, from the token endpoint.
    pub async fn token_for(&self, scopes: &[&str]) -> Self {
        let query: Vec<String> = scopes
            .iter()
            .map(|scope| format!("scope={scope}"))
            .collect();
        let answer = self
            .get(&format!("/v2/auth?{}", query.join("&")))
            .send()
            .await
            .expect(200);
        self.with_token(answer.json()["token"].as_str().expect("a token"))
    }

    /// A request that is still to be sent.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let mut request = Request {
            client: self.clone(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Body::empty(),
            host: match &self.server {
                ServerKind::InProcess(_) => "registry.test".to_owned(),
                ServerKind::Wire(wire) => wire.address.to_string(),
            },
        };
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request
    }

    /// GET.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// HEAD.
    pub fn head(&self, path: &str) -> Request {
        self.request(Method::HEAD, path)
    }

    /// POST.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// PUT.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// PATCH.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// Opens an upload session and says its location.
    pub async fn open_upload(&self, name: &str) -> String {
        let answer = self
            .post(&format!("/v2/{name}/blobs/uploads/"))
            .send()
            .await
            .expect(202);
        answer.header("location").to_owned()
    }

    /// Pushes a blob by POST and PUT.
    pub async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        self.push_blob_as(name, bytes, Algorithm::Sha256).await
    }

    /// Pushes a blob by POST and PUT under a digest of this algorithm.
    pub async fn push_blob_as(&self, name: &str, bytes: &[u8], algorithm: Algorithm) -> Digest {
        let digest = Digest::of(algorithm, bytes);
        let location = self.open_upload(name).await;
        let put = self
            .put(&format!("{location}?digest={digest}"))
            .body(bytes.to_vec());
        put.send().await.expect(201);
        digest
    }

    /// Pushes an image's blobs and its manifest under `reference`; says the manifest's digest.
    pub async fn push(&self, name: &str, reference: &str, image: &TestImage) -> Digest {
        for blob in image.blobs() {
            self.push_blob(name, &blob).await;
        }
        self.push_manifest(name, reference, image.media_type(), &image.manifest())
            .await
    }

    /// Pushes a manifest alone.
    pub async fn push_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Digest {
        let request = self
            .put(&format!("/v2/{name}/manifests/{reference}"))
            .header("content-type", media_type)
            .body(bytes.to_vec());
        request.send().await.expect(201).digest()
    }

    /// Fails the test unless `image` can be pulled whole under `reference`.
    pub async fn pull(&self, name: &str, reference: &str, image: &TestImage) {
        let manifest = self
            .get(&format!("/v2/{name}/manifests/{reference}"))
            .send()
            .await
            .expect(200);
        assert_eq!(manifest.body, image.manifest());
        for blob in image.blobs() {
            let digest = Digest::of(Algorithm::Sha256, &blob);
            let got = self
                .get(&format!("/v2/{name}/blobs/{digest}"))
                .send()
                .await
                .expect(200);
            assert_eq!(got.body, blob);
        }
    }
}

/// A request that is still to be sent.
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body,
    host: String,
}

impl Request {
    /// Adds a header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("a header's name");
        self.headers.push((
            name,
            HeaderValue::from_str(value).expect("a header's value"),
        ));
        self
    }

    /// Sends these bytes, with their length.
    pub fn body(self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len().to_string();
        Self {
            body: Body::from(bytes),
            ..self.header("content-length", &length)
        }
    }

    /// Sends these bytes in pieces of `piece` bytes, without a length.
    pub fn streamed(mut self, bytes: impl Into<Bytes>, piece: usize) -> Self {
        let bytes: Bytes = bytes.into();
        let pieces: Vec<_> = bytes
            .chunks(piece.max(1))
            .map(|p| Ok::<_, std::io::Error>(Bytes::copy_from_slice(p)))
            .collect();
        self.body = Body::from_stream(futures::stream::iter(pieces));
        self
    }

    /// Sends whatever the stream gives, errors included.
    pub fn stream<S>(mut self, stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    {
        self.body = Body::from_stream(stream);
        self
    }

    /// Comes to the server under another name.
    pub fn at_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Sends it and reads the answer whole.
    pub async fn send(self) -> TestResponse {
        let asked = format!("{} {}", self.method, self.path);
        let (server, request, origin) = self.into_parts();
        let dispatcher = match server {
            ServerKind::InProcess(dispatcher) => dispatcher,
            ServerKind::Wire(wire) => return wire.exchange(asked, request).await,
        };
        let response = dispatcher.dispatch(request, origin).await;
        Self::read(asked, response).await
    }

    /// Reads an answer whole.
    pub(crate) async fn read(asked: String, response: http::Response<Body>) -> TestResponse {
        let (parts, body) = response.into_parts();
        let mut stream = body.into_data_stream();
        let mut whole = true;
        let mut bytes = BytesMut::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(_) => whole = false,
            }
        }
        TestResponse {
            asked,
            status: parts.status,
            headers: parts.headers,
            body: bytes.freeze(),
            whole,
        }
    }

    fn into_parts(self) -> (ServerKind, http::Request<Body>, Origin) {
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().expect("a request's target");
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        let host = HeaderValue::from_str(&self.host).expect("a host");
        request.headers_mut().insert(header::HOST, host);
        let origin = Origin {
            address: Some([192, 0, 2, 1].into()),
            secure: false,
            host: Some(self.host),
            request_id: "test".to_owned(),
            agent: "testkit".to_owned(),
        };
        (self.client.server, request, origin)
    }
}
