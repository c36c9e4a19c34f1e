"""Python's official gRPC client calls through the gateway, plain and by TLS.

Its one argument is JSON that says where. Ends with 0, and the number of its checks, when all went well. Schemas are read
from descriptor sets when it starts, so nothing is generated.
"""

import asyncio
import json
import queue
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

PLACE = json.loads(sys.argv[1])
# No check takes nearly as long.
PATIENCE = 30
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Schema:
    """Message types and methods by their full names."""

    def __init__(self, *paths):
        self.pool = descriptor_pool.DescriptorPool()
        known = set()
        for path in paths:
            files = descriptor_pb2.FileDescriptorSet()
            with open(path, "rb") as opened:
                files.ParseFromString(opened.read())
            for file in files.file:
                if file.name not in known:
                    known.add(file.name)
                    self.pool.AddSerializedFile(file.SerializeToString())

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def stub(self, channel, name):
        """What calls the method `package.Service.Method`."""
        method = self.pool.FindMethodByName(name)
        kinds = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        answer = message_factory.GetMessageClass(method.output_type)
        return kinds[method.client_streaming, method.server_streaming](
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )


SCHEMA = Schema(PLACE["bookstore"], PLACE["mirror"])
Ask = SCHEMA.message("clients.v1.Ask")


def mirror(channel, method):
    return SCHEMA.stub(channel, f"clients.v1.Mirror.{method}")


def refused(call):
    """The error that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it went well")


def values(metadata, name):
    return [value for key, value in metadata if key == name]


@check
def unary(channel):
    get = SCHEMA.stub(channel, "bookstore.v1.Bookstore.GetBook")
    ask = SCHEMA.message("bookstore.v1.GetBookRequest")(name="shelves/fiction/books/middlemarch")
    book, call = get.with_call(ask, timeout=PATIENCE)
    assert book.title == "Middlemarch", book
    assert values(call.initial_metadata(), "etag"), call.initial_metadata()
    assert call.code() == grpc.StatusCode.OK


@check
def metadata_both_ways(channel):
    sent = [
        ("echo-text", "a, b"),
        ("echo-twice", "one"),
        ("echo-twice", "two"),
        ("echo-bytes-bin", b"\x00\x01\xfe\xff"),
        ("trailing-text", "the end"),
        ("trailing-bytes-bin", b""),
        ("trailing-bytes-bin", b"\xff\x00"),
    ]
    told, call = mirror(channel, "Unary").with_call(Ask(text="x"), metadata=sent, timeout=PATIENCE)
    assert told.number == 2**53 + 1, told
    assert told.metadata["echo-text"] == "a, b", told
    assert told.metadata["user-agent"].startswith("grpc-python/"), told
    head, end = call.initial_metadata(), call.trailing_metadata()
    assert values(head, "echo-text") == ["a, b"], head
    assert values(head, "echo-twice") == ["one", "two"], head
    assert values(head, "echo-bytes-bin") == [b"\x00\x01\xfe\xff"], head
    assert values(end, "trailing-text") == ["the end"], end
    assert values(end, "trailing-bytes-bin") == [b"", b"\xff\x00"], end


@check
def server_stream(channel):
    call = mirror(channel, "Down")(Ask(text="t", times=1000), metadata=[("echo-a", "b")], timeout=PATIENCE)
    numbers = [told.texts[1] for told in call]
    assert numbers == [str(number) for number in range(1000)], numbers
    assert values(call.initial_metadata(), "echo-a") == ["b"]
    assert call.code() == grpc.StatusCode.OK
    empty = mirror(channel, "Down")(Ask(), timeout=PATIENCE)
    assert not list(empty) and empty.code() == grpc.StatusCode.OK


@check
def books_as_a_stream(channel):
    ask = SCHEMA.message("bookstore.v1.StreamBooksRequest")(parent="shelves/fiction")
    books = list(SCHEMA.stub(channel, "bookstore.v1.ReadingRoom.StreamBooks")(ask, timeout=PATIENCE))
    assert "Moby-Dick" in [book.title for book in books], books


@check
def client_stream(channel):
    asks = (Ask(text=str(number), data=bytes(1000)) for number in range(100))
    told = mirror(channel, "Up")(asks, timeout=PATIENCE)
    assert list(told.texts) == [str(number) for number in range(100)], told
    assert told.data == bytes(100_000)
    assert not mirror(channel, "Up")(iter(()), timeout=PATIENCE).texts


@check
def both_ways_in_turns(channel):
    asks = queue.SimpleQueue()
    call = mirror(channel, "Both")(iter(asks.get, None), timeout=PATIENCE)
    for number in range(50):
        # Asked only now that the one before was answered.
        asks.put(Ask(text=str(number)))
        assert next(call).texts == [str(number)]
    asks.put(None)
    assert not list(call) and call.code() == grpc.StatusCode.OK


@check
def large_messages(channel):
    data = bytes(range(256)) * 12_000
    told = mirror(channel, "Unary")(Ask(data=data), timeout=PATIENCE)
    assert told.data == data


@check
def an_error_with_details(channel):
    get = SCHEMA.stub(channel, "bookstore.v1.Bookstore.GetBook")
    name = "shelves/fiction/books/nobody-wrote-it"
    error = refused(lambda: get(SCHEMA.message("bookstore.v1.GetBookRequest")(name=name), timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
    status = rpc_status.from_call(error)
    assert status.message == error.details() == f"there is no book {name}", status
    info, resource = error_details_pb2.ErrorInfo(), error_details_pb2.ResourceInfo()
    assert status.details[0].Unpack(info) and info.reason == "NO_SUCH_RESOURCE", status
    assert status.details[1].Unpack(resource) and resource.resource_name == name, status


def refusal(code, message):
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="WHY", domain="test"))
    # Of the same type, but from another pool.
    return SCHEMA.message("google.rpc.Status").FromString(status.SerializeToString())


@check
def every_code_in_every_place(channel):
    message = "it's 100 % ☃\n refused"
    trailing = [("trailing-why", "so")]
    for code in grpc.StatusCode:
        number = code.value[0]
        if code == grpc.StatusCode.OK:
            continue
        ask = Ask(refusal=refusal(number, message))
        after_one = Ask(text="x", times=1, refusal=refusal(number, message))
        for call in (
            lambda: mirror(channel, "Unary")(ask, timeout=PATIENCE),
            lambda: list(mirror(channel, "Down")(ask, timeout=PATIENCE)),
            lambda: list(mirror(channel, "Down")(after_one, timeout=PATIENCE, metadata=trailing)),
            lambda: mirror(channel, "Up")(iter([Ask(), ask]), timeout=PATIENCE),
            lambda: list(mirror(channel, "Both")(iter([Ask(), ask]), timeout=PATIENCE)),
        ):
            error = refused(call)
            assert (error.code(), error.details()) == (code, message), error
            details = rpc_status.from_call(error).details
            info = error_details_pb2.ErrorInfo()
            assert details[0].Unpack(info) and info.reason == "WHY", details
    call = mirror(channel, "Down")(after_one, timeout=PATIENCE, metadata=trailing)
    refused(lambda: list(call))
    assert values(call.trailing_metadata(), "trailing-why") == ["so"]


@check
def faults_of_the_gateway_itself(channel):
    nothing = channel.unary_unary("/clients.v1.Mirror/Nothing")
    error = refused(lambda: nothing(b"", timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info) and info.domain == "transom", error
    error = refused(lambda: mirror(channel, "Unary")(Ask(data=bytes(5 << 20)), timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error


@check
def deadlines(channel):
    told = mirror(channel, "Unary")(Ask(), timeout=PATIENCE)
    left = told.metadata["grpc-timeout"]
    units = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}
    assert 0 < int(left[:-1]) * units[left[-1]] <= PATIENCE, left
    for call in (
        lambda: mirror(channel, "Unary")(Ask(hang=True), timeout=0.3),
        lambda: list(mirror(channel, "Down")(Ask(times=2, hang=True), timeout=0.3)),
        lambda: list(mirror(channel, "Both")(iter([Ask(hang=True)]), timeout=0.3)),
    ):
        error = refused(call)
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def wait_until_hanging(channel, calls):
    until = time.monotonic() + PATIENCE
    while mirror(channel, "Unary")(Ask(), timeout=PATIENCE).hanging != calls:
        assert time.monotonic() < until, f"there are not {calls} calls hanging"
        time.sleep(0.01)


@check
def cancellation(channel):
    wait_until_hanging(channel, 0)
    down = mirror(channel, "Down")(Ask(times=2, hang=True), timeout=PATIENCE)
    assert next(down).texts[1] == "0" and next(down).texts[1] == "1"
    wait_until_hanging(channel, 1)
    down.cancel()
    assert refused(lambda: list(down)).code() == grpc.StatusCode.CANCELLED
    asks = queue.SimpleQueue()
    both = mirror(channel, "Both")(iter(asks.get, None), timeout=PATIENCE)
    asks.put(Ask(text="x"))
    assert next(both).texts == ["x"]
    asks.put(Ask(hang=True))
    wait_until_hanging(channel, 1)
    both.cancel()
    asks.put(None)
    assert refused(lambda: list(both)).code() == grpc.StatusCode.CANCELLED
    # Initial metadata comes before there is a message.
    down = mirror(channel, "Down")(Ask(times=1, hang=True), metadata=[("echo-a", "b")], timeout=PATIENCE)
    assert values(down.initial_metadata(), "echo-a") == ["b"]
    wait_until_hanging(channel, 1)
    down.cancel()
    wait_until_hanging(channel, 0)
    unary = mirror(channel, "Unary").future(Ask(hang=True), timeout=PATIENCE)
    wait_until_hanging(channel, 1)
    unary.cancel()
    assert unary.cancelled()
    wait_until_hanging(channel, 0)


@check
def gzip(channel):
    data = bytes(2 << 20)
    for method, wrap in (("Unary", lambda ask: ask), ("Up", lambda ask: iter([ask]))):
        told = mirror(channel, method)(wrap(Ask(data=data)), timeout=PATIENCE, compression=grpc.Compression.Gzip)
        assert told.data == data
        assert told.metadata["grpc-encoding"] == "gzip", told.metadata
        # What it takes is what it gets from the mirror.
        assert "gzip" in told.metadata["grpc-accept-encoding"], told.metadata
    call = mirror(channel, "Down")(Ask(data=data, times=3), timeout=PATIENCE, compression=grpc.Compression.Gzip)
    assert [told.data == data for told in call] == [True] * 3
    call = mirror(channel, "Both")(
        iter([Ask(data=data)] * 3), timeout=PATIENCE, compression=grpc.Compression.Gzip
    )
    assert [told.data == data for told in call] == [True] * 3


@check
def many_at_once_on_one_connection(channel):
    results = queue.SimpleQueue()

    def ask(number):
        told = mirror(channel, "Down")(Ask(text=str(number), times=20), timeout=PATIENCE)
        results.put(all(one.texts[0] == str(number) for one in told))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results.get_nowait() for _ in threads] == [True] * len(threads)


@check
def health(channel):
    call = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert call(b"", timeout=PATIENCE) == b"\x08\x01"  # status: SERVING


async def with_asyncio(channel):
    """The other client that the package has."""
    told = await mirror(channel, "Unary")(Ask(text="x"), timeout=PATIENCE)
    assert told.texts == ["x", "0"], told
    both = mirror(channel, "Both")(timeout=PATIENCE)
    for number in range(20):
        await both.write(Ask(text=str(number)))
        assert (await both.read()).texts == [str(number)]
    await both.done_writing()
    assert await both.read() is grpc.aio.EOF and await both.code() == grpc.StatusCode.OK
    try:
        await mirror(channel, "Unary")(Ask(refusal=refusal(9, "no")), timeout=PATIENCE)
    except grpc.aio.AioRpcError as error:
        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "no")
    else:
        raise AssertionError("it went well")


async def asynchronous(open_channel):
    async with open_channel() as channel:
        await with_asyncio(channel)


def main():
    with open(PLACE["authority"], "rb") as opened:
        credentials = grpc.ssl_channel_credentials(opened.read())
    done = 0
    for name, channel, open_channel in (
        ("plain", grpc.insecure_channel(PLACE["plain"]), lambda: grpc.aio.insecure_channel(PLACE["plain"])),
        (
            "TLS",
            grpc.secure_channel(PLACE["secure"], credentials),
            lambda: grpc.aio.secure_channel(PLACE["secure"], credentials),
        ),
    ):
        with channel:
            for function in CHECKS:
                print(f"{name}: {function.__name__}", flush=True)
                function(channel)
                done += 1
        print(f"{name}: asyncio", flush=True)
        asyncio.run(asynchronous(open_channel))
        done += 1
    print(f"{done} checks went well")


main()
