// What a page of another origin does: REST by fetch, Connect by its own client, gRPC-Web by the official one. Tells the
// server that it came from how it went. Three addresses and what should happen stand in the page.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import * as web from 'grpc-web';
import { all, assert, equal, refused, registry, show } from './schema.js';

const { sites, allowed, descriptors } = window.place;
const books = registry(Uint8Array.from(atob(descriptors), (letter) => letter.charCodeAt(0)));
const Bookstore = books.getService('bookstore.v1.Bookstore');
const ReadingRoom = books.getService('bookstore.v1.ReadingRoom');
const name = 'shelves/fiction/books/middlemarch';
const nobody = 'shelves/fiction/books/nobody';

const checks = {
  async rest(site) {
    const answer = await fetch(`${site}/v1/${name}`, { headers: { 'x-api-key': 'makes a preflight' } });
    equal((await answer.json()).title, 'Middlemarch');
    assert(answer.headers.get('etag') && answer.headers.get('x-request-id'), 'headers can be read');
    const missing = await fetch(`${site}/v1/${nobody}`);
    equal([missing.status, (await missing.json()).error.status], [404, 'NOT_FOUND']);
    const changed = await fetch(`${site}/v1/${name}?updateMask=page_count`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ pageCount: 881 }),
    });
    equal((await changed.json()).pageCount, 881);
    const lines = await fetch(`${site}/v1/shelves/fiction/books:stream`, { headers: { accept: 'application/x-ndjson' } });
    const titles = (await lines.text()).trim().split('\n').map((line) => JSON.parse(line).title);
    assert(titles.includes('Moby-Dick'), titles);
  },

  async connect(site) {
    for (const useBinaryFormat of [true, false]) {
      for (const useHttpGet of [true, false]) {
        await ownClient(createConnectTransport({ baseUrl: site, useBinaryFormat, useHttpGet }));
      }
    }
  },

  async grpcWebByConnect(site) {
    await ownClient(createGrpcWebTransport({ baseUrl: site }));
  },

  async grpcWeb(site) {
    // Binary streams are read at their end; in the text form also on their way.
    for (const format of ['text', 'binary']) await officialClient(site, new web.GrpcWebClientBase({ format }));
  },
};

async function ownClient(transport) {
  const store = createClient(Bookstore, transport);
  equal((await store.getBook({ name })).title, 'Middlemarch');
  const error = await refused(() => store.getBook({ name: nobody }));
  equal([Code[error.code], error.details[0].type], ['NotFound', 'google.rpc.ErrorInfo']);
  const room = createClient(ReadingRoom, transport);
  const titles = (await all(room.streamBooks({ parent: 'shelves/fiction' }))).map((book) => book.title);
  assert(titles.includes('Moby-Dick'), titles);
  const late = await refused(() => all(room.streamBooks({ parent: 'shelves/none' })));
  equal(Code[late.code], 'NotFound');
  // A client's deadline needs a header of its own.
  const slow = { parent: 'shelves/fiction', pace: { seconds: 5n } };
  equal(Code[(await refused(() => all(room.streamBooks(slow, { timeoutMs: 200 })))).code], 'DeadlineExceeded');
}

async function officialClient(site, client) {
  const path = (method) => `${site}/${method.parent.typeName}/${method.name}`;
  const described = (method, kind) =>
    new web.MethodDescriptor(
      path(method),
      kind,
      Object,
      Object,
      (ask) => toBinary(method.input, create(method.input, ask)),
      (bytes) => fromBinary(method.output, bytes),
    );
  const get = Bookstore.method.getBook;
  const call = (ask) => client.unaryCall(path(get), ask, {}, described(get, 'unary'));
  equal((await call({ name })).title, 'Middlemarch');
  const error = await refused(() => call({ name: nobody }));
  equal([error.code, error.message], [web.StatusCode.NOT_FOUND, `there is no book ${nobody}`]);
  assert(error.metadata['grpc-status-details-bin'], error.metadata);

  const stream = ReadingRoom.method.streamBooks;
  const read = (ask) =>
    new Promise((resolve) => {
      const got = { titles: [] };
      const answers = client.serverStreaming(path(stream), ask, {}, described(stream, 'server_streaming'));
      answers.on('data', (book) => got.titles.push(book.title));
      answers.on('error', (error) => resolve({ ...got, error }));
      answers.on('end', () => resolve(got));
    });
  const { titles, error: none } = await read({ parent: 'shelves/fiction' });
  assert(titles.includes('Moby-Dick') && !none, { titles, none });
  equal((await read({ parent: 'shelves/none' })).error.code, web.StatusCode.NOT_FOUND);
}

// A browser gives pages of other origins nothing but the fact that it failed.
async function isRefused(site) {
  const simple = await refused(() => fetch(`${site}/v1/${name}`));
  const preflighted = await refused(() => fetch(`${site}/v1/${name}`, { headers: { 'x-api-key': 'k' } }));
  assert(simple instanceof TypeError && preflighted instanceof TypeError, [simple, preflighted]);
  const store = createClient(Bookstore, createConnectTransport({ baseUrl: site }));
  equal(Code[(await refused(() => store.getBook({ name }))).code], 'Unknown');
  const get = Bookstore.method.getBook;
  const path = `${site}/${get.parent.typeName}/${get.name}`;
  const bytes = (ask) => toBinary(get.input, create(get.input, ask));
  const method = new web.MethodDescriptor(path, 'unary', Object, Object, bytes, (book) => book);
  const error = await refused(() => new web.GrpcWebClientBase({}).unaryCall(path, { name }, {}, method));
  assert(error.code !== web.StatusCode.OK, error);
}

async function main() {
  let done = 0;
  for (const site of sites) {
    const wanted = allowed ? Object.entries(checks) : [['isRefused', isRefused]];
    for (const [check, run] of wanted) {
      try {
        await run(site);
      } catch (error) {
        throw new Error(`${site}: ${check}: ${show(error)} ${error.stack}`);
      }
      done += 1;
    }
  }
  return `${done} checks went well`;
}

main()
  .catch((error) => `${error}`)
  .then((text) => fetch('/told', { method: 'POST', body: text }));
