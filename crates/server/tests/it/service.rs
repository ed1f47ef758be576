//! What a client of the running binary meets.

use milvus_proto::milvus::milvus_service_client::MilvusServiceClient;
use milvus_proto::{Message as _, common, milvus as pb, schema};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::binary::Server;

async fn client(server: &Server) -> MilvusServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    MilvusServiceClient::new(endpoint.connect().await.unwrap())
}

fn schema(name: &str) -> schema::CollectionSchema {
    let key = schema::FieldSchema {
        name: "id".into(),
        is_primary_key: true,
        data_type: schema::DataType::Int64.into(),
        ..Default::default()
    };
    let dim = common::KeyValuePair { key: "dim".into(), value: "4".into() };
    let vector = schema::FieldSchema {
        name: "v".into(),
        data_type: schema::DataType::FloatVector.into(),
        type_params: vec![dim],
        ..Default::default()
    };
    schema::CollectionSchema { name: name.into(), fields: vec![key, vector], ..Default::default() }
}

#[tokio::test]
async fn a_server_tells_where_it_is_serves_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    assert!(server.lines[0].starts_with("listening on 127.0.0.1:"), "{:?}", server.lines);
    assert!(server.lines[1].starts_with("metrics on 127.0.0.1:"), "{:?}", server.lines);
    assert!(server.lines[2].ends_with("milvus-data"), "{:?}", server.lines);
    assert!(server.lines[3].starts_with("try: "), "{:?}", server.lines);

    let mut client = client(&server).await;
    let connected = client.connect(pb::ConnectRequest::default()).await.unwrap().into_inner();
    assert_eq!(connected.status.unwrap().code, 0);
    assert!(connected.identifier > 0);

    assert!(server.get("/healthz").ends_with("\r\n\r\nOK"));
    let counted =
        "milvus_proxy_req_count{function_name=\"Connect\",node_id=\"1\",status=\"success\"} 1";
    assert!(server.get("/metrics").contains(counted));
    assert!(server.stop().success());
}

#[tokio::test]
async fn errors_are_in_the_status_and_what_is_not_served_is_a_grpc_error() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut client = client(&server).await;

    let unknown =
        pb::DescribeCollectionRequest { collection_name: "c".into(), ..Default::default() };
    let reply = client.describe_collection(unknown.clone()).await.unwrap().into_inner();
    let status = reply.status.unwrap();
    assert_eq!(status.code, 100);
    assert_eq!(status.reason, "can't find collection[database=default][collection=c]");

    let mut elsewhere = tonic::Request::new(unknown);
    elsewhere.metadata_mut().insert("dbname", "other".parse().unwrap());
    let reply = client.describe_collection(elsewhere).await.unwrap().into_inner();
    assert!(reply.status.unwrap().reason.contains("other"));

    let later = client.run_analyzer(pb::RunAnalyzerRequest::default()).await.unwrap_err();
    assert_eq!(later.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_collection_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let create = pb::CreateCollectionRequest {
        collection_name: "c".into(),
        schema: schema("c").encode_to_vec().into(),
        ..Default::default()
    };
    let status = client(&server).await.create_collection(create).await.unwrap().into_inner();
    assert_eq!((status.code, status.reason.as_str()), (0, ""));
    drop(server);

    let server = Server::start(dir.path());
    let request =
        pb::DescribeCollectionRequest { collection_name: "c".into(), ..Default::default() };
    let reply = client(&server).await.describe_collection(request).await.unwrap().into_inner();
    let names: Vec<String> =
        reply.schema.unwrap().fields.into_iter().map(|field| field.name).collect();
    assert_eq!(names, ["id", "v"]);
    assert_eq!((reply.shards_num, reply.num_partitions), (1, 1));
}
