"""Connecting: versions, health, the clock, and RPCs that do not exist."""

import grpc
import pytest
from pymilvus import MilvusClient, MilvusException
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield milvus_pb2_grpc.MilvusServiceStub(channel)


def call(server, method, request=b"", timeout=5):
    """One raw unary call; returns the reply's bytes or raises grpc.RpcError."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        return channel.unary_unary(method)(request, timeout=timeout)


def test_connect_gives_an_identifier_and_server_info(stub):
    reply = stub.Connect(milvus_pb2.ConnectRequest(), timeout=5)
    assert reply.status.code == 0
    assert reply.identifier > 0
    assert reply.server_info.build_tags


def test_version_is_not_empty(client):
    assert client.get_server_version()


def test_version_of_connect_and_get_version_agree(stub, client):
    reply = stub.Connect(milvus_pb2.ConnectRequest(), timeout=5)
    assert reply.server_info.build_tags == client.get_server_version()


def test_check_health(stub):
    reply = stub.CheckHealth(milvus_pb2.CheckHealthRequest(), timeout=5)
    assert reply.status.code == 0
    assert reply.isHealthy
    assert list(reply.reasons) == []


def test_component_states_are_healthy(stub):
    reply = stub.GetComponentStates(milvus_pb2.GetComponentStatesRequest(), timeout=5)
    assert reply.status.code == 0
    assert reply.state.state_code == common_pb2.StateCode.Value("Healthy")


def test_grpc_health_service(server):
    # HealthCheckResponse{status: SERVING} is field 1, varint 1.
    assert call(server, "/grpc.health.v1.Health/Check") == b"\x08\x01"


def test_timestamps_never_go_back(stub):
    request = milvus_pb2.AllocTimestampRequest()
    taken = [stub.AllocTimestamp(request, timeout=5).timestamp for _ in range(50)]
    assert taken == sorted(set(taken))
    assert taken[0] >> 18 > 1_600_000_000_000  # 46 bits of milliseconds, 18 bits of counter


def test_default_database_exists(server):
    client = MilvusClient(uri=server.uri, db_name="default")
    assert client.list_collections() == []
    client.close()


def test_unknown_database_is_refused(server):
    with pytest.raises(MilvusException) as caught:
        MilvusClient(uri=server.uri, db_name="nowhere").list_collections()
    assert "database not found[database=nowhere]" in str(caught.value)


@pytest.mark.parametrize("method", ["ExportSnapshot", "ListRowPolicies", "NoSuchCall"])
def test_rpc_that_is_not_served_is_unimplemented(server, method):
    with pytest.raises(grpc.RpcError) as caught:
        call(server, f"/milvus.proto.milvus.MilvusService/{method}")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_garbage_request_is_an_error_and_the_server_lives(server, client):
    with pytest.raises(grpc.RpcError):
        call(server, "/milvus.proto.milvus.MilvusService/Insert", b"\xff" * 40)
    assert client.get_server_version()


def test_many_clients(server):
    clients = [MilvusClient(uri=server.uri) for _ in range(8)]
    assert all(c.list_collections() == [] for c in clients)
    for client in clients:
        client.close()
