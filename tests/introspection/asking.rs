//! A client of reflection.

use prost::Message;
use prost_reflect::DescriptorPool;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::Gateway;
use crate::{assert_status, invoke, messages};

pub const V1: &str = "grpc.reflection.v1";
pub const ALPHA: &str = "grpc.reflection.v1alpha";

/// Asks everything on one stream.
#[track_caller]
pub fn ask(gateway: &Gateway, package: &str, questions: &[MessageRequest]) -> Vec<MessageResponse> {
    let requests = questions.iter().map(|question| {
        let request =
            ServerReflectionRequest { host: "h".to_owned(), message_request: Some(question.clone()) };
        request.encode_to_vec()
    });
    let requests: Vec<Vec<u8>> = requests.collect();
    let path = format!("/{package}.ServerReflection/ServerReflectionInfo");
    let reply = invoke(gateway, &path, &requests, &[]);
    assert_status(&reply, "0");
    let responses = messages(&reply.body).into_iter().map(|message| {
        let response = ServerReflectionResponse::decode(message).expect("a readable answer");
        assert_eq!(response.valid_host, "h");
        assert!(response.original_request.is_some());
        response.message_response.expect("an answer")
    });
    let responses: Vec<MessageResponse> = responses.collect();
    assert_eq!(responses.len(), questions.len());
    responses
}

#[track_caller]
pub fn listed(gateway: &Gateway) -> Vec<String> {
    match &ask(gateway, V1, &[MessageRequest::ListServices(String::new())])[0] {
        MessageResponse::ListServicesResponse(list) => {
            list.service.iter().map(|service| service.name.clone()).collect()
        }
        other => panic!("{other:?}"),
    }
}

pub fn symbol(name: &str) -> MessageRequest {
    MessageRequest::FileContainingSymbol(name.to_owned())
}

pub fn file(name: &str) -> MessageRequest {
    MessageRequest::FileByFilename(name.to_owned())
}

/// The one file of an answer, or the code of a refusal.
pub fn bytes(answer: &MessageResponse) -> Result<&[u8], i32> {
    match answer {
        MessageResponse::FileDescriptorResponse(files) => {
            assert_eq!(files.file_descriptor_proto.len(), 1);
            Ok(&files.file_descriptor_proto[0])
        }
        MessageResponse::ErrorResponse(error) => Err(error.error_code),
        other => panic!("{other:?}"),
    }
}

/// All files that a client needs for a symbol, as it would ask for them.
pub fn pool(gateway: &Gateway, name: &str) -> DescriptorPool {
    let mut open = vec![symbol(name)];
    let mut files: Vec<prost_types::FileDescriptorProto> = Vec::new();
    let mut set = Vec::new();
    while let Some(question) = open.pop() {
        let answers = ask(gateway, V1, &[question]);
        let encoded = bytes(&answers[0]).expect("a file");
        let decoded = prost_types::FileDescriptorProto::decode(encoded).expect("a readable file");
        if files.iter().all(|known| known.name != decoded.name) {
            open.extend(decoded.dependency.iter().map(|name| file(name)));
            files.push(decoded);
            prost::encoding::bytes::encode(1, &encoded.to_vec(), &mut set);
        }
    }
    DescriptorPool::decode(set.as_slice()).expect("the files fit together")
}
