//! A conversation with a backend by `grpc.reflection`: questions out, answers back, in the same order.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::Instant;

use super::fetch::FetchError;
use super::proto::grpc::reflection::v1::server_reflection_request::MessageRequest;
use super::proto::grpc::reflection::v1::server_reflection_response::MessageResponse;
use super::proto::grpc::reflection::v1::{ErrorResponse, ServerReflectionRequest, ServerReflectionResponse};
use crate::fault::{Code, Fault, Kind};
use crate::schema::ReflectSettings;
use crate::upstream::{Cluster, FRAME_HEAD, Outgoing, Replies, Sender, finish_frame, start_frame};

/// The paths of the service, the newer version first. Their messages are the same.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// How many questions are under way at once. They are small: all of them fit into any window.
const AHEAD: usize = 16;

/// A stream of questions and answers, in the same order.
pub(super) struct Session<'c> {
    cluster: &'c Cluster,
    settings: &'c ReflectSettings,
    path: &'static str,
    stream: Option<Stream>,
}

struct Stream {
    sender: Sender,
    replies: Replies,
    has_head: bool,
}

impl<'c> Session<'c> {
    /// Opens the newest version that the backend has. The services that it lists come beside it.
    pub(super) async fn open(
        cluster: &'c Cluster,
        settings: &'c ReflectSettings,
    ) -> Result<(Self, Vec<String>), FetchError> {
        let mut last = None;
        for path in PATHS {
            let mut session = Self { cluster, settings, path, stream: None };
            match session.list().await {
                Ok(listed) => return Ok((session, listed)),
                Err(fault) if fault.code() == Code::Unimplemented => last = Some(fault),
                Err(fault) => return Err(FetchError::of(cluster, &fault)),
            }
        }
        Err(last.map_or_else(
            || FetchError::new(cluster, "it has no server reflection"),
            |fault| FetchError::of(cluster, &fault),
        ))
    }

    async fn list(&mut self) -> Result<Vec<String>, Fault> {
        let mut stream = Stream::open(self.cluster, self.path, self.settings).await?;
        stream.send(&MessageRequest::ListServices(String::new())).await?;
        match stream.receive().await? {
            MessageResponse::ListServicesResponse(list) => {
                self.stream = Some(stream);
                Ok(list.service.into_iter().map(|service| service.name).collect())
            }
            MessageResponse::ErrorResponse(error) => {
                let code = u32::try_from(error.error_code).ok().and_then(Code::from_number);
                Err(Fault::from_backend(code.unwrap_or(Code::Unknown), error.error_message, Vec::new()))
            }
            MessageResponse::FileDescriptorResponse(_) | MessageResponse::AllExtensionNumbersResponse(_) => {
                Err(nonsense("no list of services"))
            }
        }
    }

    /// Asks all questions and takes the answers as they come.
    pub(super) async fn ask(
        &mut self,
        questions: Vec<MessageRequest>,
        mut take: impl FnMut(&MessageRequest, MessageResponse) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        let failed = |fault: Fault| FetchError::of(self.cluster, &fault);
        let mut rest = &*questions;
        while !rest.is_empty() {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => Stream::open(self.cluster, self.path, self.settings).await.map_err(failed)?,
            };
            let (now, later) = rest.split_at(rest.len().min(AHEAD));
            let mut later = later.iter();
            for question in now {
                stream.send(question).await.map_err(failed)?;
            }
            // Some servers end the stream with the status of a question that has no answer. What comes behind that
            // question is asked again, on a new stream.
            let mut refused = false;
            while let (false, Some((question, behind))) = (refused, rest.split_first()) {
                let answer = match stream.receive().await {
                    Ok(answer) => answer,
                    Err(fault) => {
                        refused = true;
                        refusal(&fault).ok_or(fault).map_err(failed)?
                    }
                };
                take(question, answer)?;
                rest = behind;
                if let (false, Some(next)) = (refused, later.next()) {
                    stream.send(next).await.map_err(failed)?;
                }
            }
            if !refused {
                self.stream = Some(stream);
            }
        }
        Ok(())
    }

    /// Says that there are no more questions.
    pub(super) fn finish(self) {
        if let Some(mut stream) = self.stream {
            stream.sender.finish();
        }
    }
}

/// The status of a question that has no answer, as an answer.
fn refusal(fault: &Fault) -> Option<MessageResponse> {
    let is_one =
        fault.kind() == Kind::Backend && matches!(fault.code(), Code::NotFound | Code::InvalidArgument);
    is_one.then(|| {
        MessageResponse::ErrorResponse(ErrorResponse {
            error_code: fault.code() as i32,
            error_message: fault.message().to_owned(),
        })
    })
}

impl Stream {
    async fn open(cluster: &Cluster, path: &'static str, settings: &ReflectSettings) -> Result<Self, Fault> {
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (TE, HeaderValue::from_static("trailers")),
        ]);
        let call = Outgoing {
            path: PathAndQuery::from_static(path),
            headers,
            max_reply: settings.max_size.saturating_add(FRAME_HEAD),
            deadline: Instant::now().checked_add(settings.timeout),
            retry: None,
            attempts: None,
            activity: None,
        };
        let (sender, replies) = cluster.stream(0, call).await?;
        Ok(Self { sender, replies, has_head: false })
    }

    async fn send(&mut self, question: &MessageRequest) -> Result<(), Fault> {
        let request =
            ServerReflectionRequest { host: String::new(), message_request: Some(question.clone()) };
        let mut frame = Vec::new();
        start_frame(&mut frame);
        frame.extend_from_slice(&request.encode_to_vec());
        // Where it takes nothing more, the reply says why.
        let _ = self.sender.send(finish_frame(frame)?).await;
        Ok(())
    }

    async fn receive(&mut self) -> Result<MessageResponse, Fault> {
        // Servers may wait with the head until they have something to say.
        if !std::mem::replace(&mut self.has_head, true) {
            self.replies.head().await?;
        }
        let message = self.replies.message().await?.ok_or_else(|| nonsense("an end instead of an answer"))?;
        let response =
            ServerReflectionResponse::decode(message).map_err(|_| nonsense("an unreadable answer"))?;
        response.message_response.ok_or_else(|| nonsense("an empty answer"))
    }
}

fn nonsense(what: &'static str) -> Fault {
    Fault::broken_backend(Code::Internal, "BAD_REFLECTION", what)
}
