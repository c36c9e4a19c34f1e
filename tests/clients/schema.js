// Schemas from descriptor sets, read when a script starts, so nothing is generated.

import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

// Message types and services by their full names.
export function registry(bytes) {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
}

export function assert(condition, what) {
  if (!condition) throw new Error(`not so: ${typeof what === 'string' ? what : show(what)}`);
}

export function show(value) {
  const plain = (_, member) => (typeof member === 'bigint' ? `${member}` : member);
  return value instanceof Error ? `${value} ${value.cause ?? ''}` : JSON.stringify(value, plain);
}

export function equal(is, should) {
  assert(show(is) === show(should), `${show(is)} is ${show(should)}`);
}

// The error that a call ends with.
export async function refused(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('it went well');
}

export async function all(messages) {
  const list = [];
  for await (const message of messages) list.push(message);
  return list;
}

// 2^53 + 1, which no double can hold.
export const NUMBER = 9007199254740993n;
