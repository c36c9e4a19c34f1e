// The clients of connect-node (Connect, gRPC and gRPC-Web; HTTP/1.1 and HTTP/2; binary and JSON) and grpc-js call the mirror
// through the gateway, plain and by TLS. The one argument is JSON that says where.

import { readFileSync } from 'node:fs';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient, decodeBinaryHeader, encodeBinaryHeader } from '@connectrpc/connect';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { all, assert, equal, NUMBER, refused, registry, show } from './schema.js';

const place = JSON.parse(process.argv[2]);
const authority = readFileSync(place.authority);
const mirror = registry(readFileSync(place.mirror));
const service = mirror.getService('clients.v1.Mirror');
const Ask = mirror.getMessage('clients.v1.Ask');
const Told = mirror.getMessage('clients.v1.Told');
const Status = mirror.getMessage('google.rpc.Status');
// No call takes nearly as long.
const PATIENCE = 30_000;
const CODES = Object.values(Code).filter((code) => typeof code === 'number');

function refusal(code, message) {
  return create(Status, { code, message, details: [anyPack(Ask, create(Ask, { text: 'WHY' }))] });
}

async function waitUntilHanging(client, calls) {
  const until = Date.now() + PATIENCE;
  while ((await client.unary({})).hanging !== calls) {
    assert(Date.now() < until, `there are ${calls} calls hanging`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function* asks(...messages) {
  yield* messages;
}

// What every transport can do. `turns`: whether both sides can talk at once.
const checks = {
  async unary({ client, get }) {
    // A URL has room for little.
    const data = new Uint8Array(get ? 3_000 : 300_000).map((_, index) => index);
    const told = await client.unary({ text: 'ä☃', data });
    equal([told.texts, told.number], [['ä☃', '0'], NUMBER]);
    assert(Buffer.compare(told.data, data) === 0, 'the bytes come back');
  },

  async metadataBothWays({ client }) {
    const bytes = Uint8Array.of(0, 1, 254, 255);
    const headers = new Headers({
      'echo-text': 'a, b',
      'echo-bytes-bin': encodeBinaryHeader(bytes),
      'trailing-text': 'the end',
      'trailing-bytes-bin': encodeBinaryHeader(bytes),
    });
    for (const call of [(options) => client.unary({}, options), (options) => all(client.down({ times: 2 }, options))]) {
      let head, end;
      const answer = await call({ headers, onHeader: (got) => (head = got), onTrailer: (got) => (end = got) });
      const told = Array.isArray(answer) ? answer[1] : answer;
      equal([told.metadata['echo-text'], told.metadata['trailing-text']], ['a, b', 'the end']);
      equal([head.get('echo-text'), end.get('trailing-text')], ['a, b', 'the end']);
      equal(decodeBinaryHeader(head.get('echo-bytes-bin')), bytes);
      equal(decodeBinaryHeader(end.get('trailing-bytes-bin')), bytes);
    }
  },

  async serverStream({ client }) {
    const numbers = (await all(client.down({ times: 500 }))).map((told) => told.texts[1]);
    equal(numbers, [...Array(500).keys()].map(String));
    equal(await all(client.down({})), []);
  },

  async clientStream({ client }) {
    const told = await client.up(asks({ text: 'a', data: new Uint8Array(100_000) }, { text: 'b' }));
    equal([told.texts, told.data.length], [['a', 'b'], 100_000]);
  },

  async bothWays({ client, turns }) {
    equal((await all(client.both(asks({ text: 'a' }, { text: 'b' })))).map((told) => told.texts), [['a'], ['b']]);
    if (!turns) return;
    let ask;
    const next = async function* () {
      for (let number = 0; number < 20; number++) yield await new Promise((resolve) => (ask = resolve));
    };
    const answers = client.both(next())[Symbol.asyncIterator]();
    for (let number = 0; number < 20; number++) {
      const answer = answers.next();
      while (!ask) await new Promise((resolve) => setImmediate(resolve));
      ask({ text: `${number}` });
      ask = undefined;
      equal((await answer).value.texts, [`${number}`]);
    }
    assert((await answers.next()).done, 'it ends');
  },

  async everyCode({ client }) {
    const message = 'it\'s 100 % ☃\n "refused"';
    for (const code of CODES) {
      const ask = { refusal: refusal(code, message) };
      const streams = [
        () => all(client.down(ask)),
        () => all(client.down({ ...ask, times: 1 })),
        () => client.up(asks({}, ask)),
        () => all(client.both(asks({}, ask))),
      ];
      for (const call of [() => client.unary(ask), streams[code % streams.length]]) {
        const error = await refused(call);
        assert(error instanceof ConnectError, error);
        equal([Code[error.code], error.rawMessage], [Code[code], message]);
        equal(error.findDetails(Ask).map((detail) => detail.text), ['WHY']);
      }
    }
  },

  async metadataOfErrors({ client }) {
    const headers = { 'trailing-why': 'so' };
    const ask = { times: 1, refusal: refusal(9, 'no') };
    const error = await refused(() => all(client.down(ask, { headers })));
    equal(error.metadata.get('trailing-why'), 'so');
  },

  async faultsOfTheGateway({ client }) {
    const large = await refused(() => client.unary({ data: new Uint8Array(2 << 20) }));
    assert(large.details?.length > 0, large);
    equal([Code[large.code], large.details[0].type], ['ResourceExhausted', 'google.rpc.ErrorInfo']);
  },

  async deadlines({ client, site }) {
    const told = await client.unary({}, { timeoutMs: PATIENCE });
    assert(told.metadata['grpc-timeout'], told);
    for (const call of [
      (options) => client.unary({ hang: true }, options),
      (options) => all(client.down({ times: 2, hang: true }, options)),
    ]) {
      equal(Code[(await refused(() => call({ timeoutMs: 100 }))).code], 'DeadlineExceeded');
      site.left += 1;
    }
  },

  async cancellation({ client, site }) {
    await waitUntilHanging(client, 0);
    for (const call of [
      (options) => client.unary({ hang: true }, options),
      (options) => all(client.down({ times: 2, hang: true }, options)),
      (options) => client.up(asks({}, { hang: true }), options),
      (options) => all(client.both(asks({}, { hang: true }), options)),
    ]) {
      const abort = new AbortController();
      const error = refused(() => call({ signal: abort.signal }));
      await waitUntilHanging(client, 1);
      abort.abort();
      equal(Code[(await error).code], 'Canceled');
      await waitUntilHanging(client, 0);
      site.left += 1;
    }
  },

  async gzip({ packing, passes }) {
    const data = new Uint8Array(300_000);
    const told = await packing.unary({ data });
    assert(Buffer.compare(told.data, data) === 0, 'the bytes come back');
    if (passes) equal(told.metadata['grpc-encoding'], 'gzip');
    for (const one of await all(packing.down({ data, times: 3 }))) equal(one.data.length, data.length);
    equal((await packing.up(asks({ data }, { data }))).data.length, 2 * data.length);
  },

  async manyAtOnce({ client }) {
    const calls = [...Array(30).keys()].map(async (number) => {
      const answers = await all(client.down({ text: `${number}`, times: 10 }));
      equal(answers.map((told) => told.texts[0]), Array(10).fill(`${number}`));
    });
    await Promise.all(calls);
  },
};

// What has to do with unary calls that are a GET.
const CHECKS_OF_GET = ['unary', 'metadataBothWays', 'everyCode', 'deadlines', 'gzip'];

function* transports() {
  for (const [scheme, address] of [
    ['http', place.plain],
    ['https', place.secure],
  ]) {
    const base = { baseUrl: `${scheme}://${address}`, jsonOptions: { registry: mirror } };
    if (scheme === 'https') base.nodeOptions = { ca: authority };
    for (const httpVersion of ['1.1', '2']) {
      // How messages are written has nothing to do with TLS.
      for (const useBinaryFormat of scheme === 'http' ? [true, false] : [true]) {
        const options = { ...base, httpVersion, useBinaryFormat };
        const name = `${scheme}, HTTP/${httpVersion}, ${useBinaryFormat ? 'binary' : 'JSON'}`;
        yield [`Connect, ${name}`, createConnectTransport, options];
        yield [`Connect by GET, ${name}`, createConnectTransport, { ...options, useHttpGet: true }];
        yield [`gRPC-Web, ${name}`, createGrpcWebTransport, options, useBinaryFormat];
        if (httpVersion === '2') yield [`gRPC, ${name}`, createGrpcTransport, options, useBinaryFormat];
      }
    }
  }
}

// grpc-js, with the bytes of messages.
async function grpcJs(name, address, credentials, site) {
  const client = new grpc.Client(address, credentials);
  const path = (method) => `/clients.v1.Mirror/${method}`;
  const write = (ask) => Buffer.from(toBinary(Ask, create(Ask, ask)));
  const read = (bytes) => fromBinary(Told, bytes);
  const deadline = () => ({ deadline: Date.now() + PATIENCE });

  const metadata = new grpc.Metadata();
  metadata.set('echo-bytes-bin', Buffer.of(0, 255));
  metadata.set('trailing-text', 'the end');
  let head, end;
  const told = await new Promise((resolve, reject) => {
    const done = (error, answer) => (error ? reject(error) : resolve(answer));
    const call = client.makeUnaryRequest(path('Unary'), write, read, { text: 'x' }, metadata, deadline(), done);
    call.on('metadata', (got) => (head = got));
    call.on('status', (status) => (end = status.metadata));
  });
  equal([told.texts, told.number], [['x', '0'], NUMBER]);
  equal(head.get('echo-bytes-bin')[0], Buffer.of(0, 255));
  equal(end.get('trailing-text'), ['the end']);

  const down = client.makeServerStreamRequest(path('Down'), write, read, { times: 100 }, deadline());
  equal((await all(down)).length, 100);

  const both = client.makeBidiStreamRequest(path('Both'), write, read, deadline());
  const answers = both[Symbol.asyncIterator]();
  for (const text of ['a', 'b', 'c']) {
    both.write({ text });
    equal((await answers.next()).value.texts, [text]);
  }
  both.end();
  assert((await answers.next()).done, 'it ends');

  const packing = { ...deadline() };
  const packed = new grpc.Client(address, credentials, {
    'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip,
  });
  const data = new Uint8Array(1 << 20);
  const unpacked = await new Promise((resolve, reject) => {
    const done = (error, answer) => (error ? reject(error) : resolve(answer));
    packed.makeUnaryRequest(path('Unary'), write, read, { data }, packing, done);
  });
  equal([unpacked.data.length, unpacked.metadata['grpc-encoding']], [data.length, 'gzip']);
  packed.close();

  const ask = { refusal: refusal(5, '☃') };
  const error = await refused(() => all(client.makeServerStreamRequest(path('Down'), write, read, ask, deadline())));
  equal([error.code, error.details], [grpc.status.NOT_FOUND, '☃']);
  const status = fromBinary(Status, error.metadata.get('grpc-status-details-bin')[0]);
  equal(status.details[0].typeUrl, 'type.googleapis.com/clients.v1.Ask');

  const soon = { deadline: Date.now() + 300 };
  const late = client.makeServerStreamRequest(path('Down'), write, read, { times: 2, hang: true }, soon);
  equal((await refused(() => all(late))).code, grpc.status.DEADLINE_EXCEEDED);
  site.left += 1;

  const left = client.makeServerStreamRequest(path('Down'), write, read, { times: 2, hang: true }, deadline());
  const cancelled = refused(async () => {
    for await (const one of left) if (one.texts[1] === '1') left.cancel();
  });
  equal((await cancelled).code, grpc.status.CANCELLED);
  site.left += 1;
  client.close();
  console.log(name);
}

async function main() {
  const site = { left: 0 };
  let done = 0;
  for (const [name, createTransport, options, passes] of transports()) {
    const opened = [];
    const connect = (more) => {
      const transport = createTransport({ ...options, ...more });
      opened.push(transport);
      return createClient(service, transport);
    };
    const given = {
      client: connect({ defaultTimeoutMs: PATIENCE }),
      packing: connect({ defaultTimeoutMs: PATIENCE, sendCompression: compressionGzip }),
      turns: options.httpVersion === '2',
      passes,
      get: options.useHttpGet,
      site,
    };
    for (const [check, run] of Object.entries(checks)) {
      if (options.useHttpGet && !CHECKS_OF_GET.includes(check)) continue;
      try {
        await run(given);
      } catch (error) {
        throw new Error(`${name}: ${check}: ${show(error)}`, { cause: error });
      }
      done += 1;
    }
    console.log(name);
  }
  await grpcJs('grpc-js, http', place.plain, grpc.credentials.createInsecure(), site);
  await grpcJs('grpc-js, https', place.secure, grpc.credentials.createSsl(authority), site);
  console.log(JSON.stringify({ checks: done, left: site.left }));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
