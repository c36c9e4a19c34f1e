//! `grpc.reflection`, answered by the gateway: v1 and v1alpha, whose messages are the same, from the raw files of the
//! schema in force, so that options survive.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};

use super::exposed::Exposed;
use super::proto::grpc::reflection::v1::server_reflection_request::MessageRequest;
use super::proto::grpc::reflection::v1::server_reflection_response::MessageResponse;
use super::proto::grpc::reflection::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};
use super::proto::grpc::reflection::{v1, v1alpha};
use crate::schema::Index;

/// Answers questions about the schema in force and about the gateway's own services.
#[derive(Clone)]
pub(super) struct ReflectionService {
    pub exposed: watch::Receiver<Arc<Exposed>>,
    pub own: Arc<Index>,
    /// True once the process is to stop.
    pub stopping: watch::Receiver<bool>,
}

impl ReflectionService {
    /// The answer to one question. Each is judged by the schema of its moment.
    fn answer(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let answer = request.message_request.as_ref().map_or_else(
            || Err(Refusal(Code::InvalidArgument, "nothing is asked for")),
            |question| self.look_up(question),
        );
        let message = answer.unwrap_or_else(|Refusal(code, message)| {
            MessageResponse::ErrorResponse(ErrorResponse {
                error_code: code.into(),
                error_message: message.to_owned(),
            })
        });
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(message),
        }
    }

    fn look_up(&self, question: &MessageRequest) -> Result<MessageResponse, Refusal> {
        // Not kept beyond this function: whoever holds it last has to free all of it.
        let exposed = self.exposed.borrow();
        let indexes = [&exposed.index, &*self.own];
        let file = |find: &dyn Fn(&Index) -> Option<&Bytes>, missing| {
            let file =
                indexes.iter().find_map(|index| find(index)).ok_or(Refusal(Code::NotFound, missing))?;
            let files = vec![file.clone()];
            Ok(MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto: files,
            }))
        };
        match question {
            MessageRequest::FileByFilename(name) => file(&|index| index.file(name), "there is no such file"),
            MessageRequest::FileContainingSymbol(symbol) => {
                file(&|index| index.file_of_symbol(symbol), "there is no such symbol")
            }
            MessageRequest::FileContainingExtension(of) => file(
                &|index| index.file_of_extension(&of.containing_type, of.extension_number),
                "there is no such extension",
            ),
            MessageRequest::AllExtensionNumbersOfType(name) => {
                if indexes.iter().all(|index| index.file_of_symbol(name).is_none()) {
                    return Err(Refusal(Code::NotFound, "there is no such type"));
                }
                let numbers: BTreeSet<i32> =
                    indexes.iter().flat_map(|index| index.extensions_of(name)).collect();
                Ok(MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: numbers.into_iter().collect(),
                }))
            }
            MessageRequest::ListServices(_) => {
                let names: BTreeSet<&str> = indexes.iter().flat_map(|index| index.services()).collect();
                let service =
                    names.into_iter().map(|name| ServiceResponse { name: name.to_owned() }).collect();
                Ok(MessageResponse::ListServicesResponse(ListServiceResponse { service }))
            }
        }
    }

    fn converse(&self, questions: Streaming<ServerReflectionRequest>) -> Answers {
        let conversation = Conversation { service: self.clone(), questions, is_over: false };
        Box::pin(unfold(conversation, Conversation::next))
    }
}

/// A question that has no answer.
struct Refusal(Code, &'static str);

type Answers = Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

struct Conversation {
    service: ReflectionService,
    questions: Streaming<ServerReflectionRequest>,
    is_over: bool,
}

impl Conversation {
    async fn next(mut self) -> Option<(Result<ServerReflectionResponse, Status>, Self)> {
        if self.is_over {
            return None;
        }
        let question = tokio::select! {
            question = self.questions.message() => question,
            // A client that keeps its stream open must not hold up the end of the process.
            _ = self.service.stopping.wait_for(|stopping| *stopping) => {
                Err(Status::unavailable("the server is stopping"))
            }
        };
        // Questions may have come by the thousand, and others want the worker, too.
        tokio::task::yield_now().await;
        let answer = question.transpose()?.map(|question| self.service.answer(question));
        self.is_over = answer.is_err();
        Some((answer, self))
    }
}

#[tonic::async_trait]
impl v1::server_reflection_server::ServerReflection for ReflectionService {
    type ServerReflectionInfoStream = Answers;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Answers>, Status> {
        Ok(Response::new(self.converse(request.into_inner())))
    }
}

#[tonic::async_trait]
impl v1alpha::server_reflection_server::ServerReflection for ReflectionService {
    type ServerReflectionInfoStream = Answers;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Answers>, Status> {
        Ok(Response::new(self.converse(request.into_inner())))
    }
}
